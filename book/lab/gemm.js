/**
 * Matrix products in float32: C (+)= A B, by a WebAssembly kernel (gemm.wat), or by plain JavaScript where there is none.
 *
 * All arrays of a network live in one piece of memory, an arena, because the kernel sees no other.
 */
import wasm from "./gemm.wasm.js";

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** The compiled kernel, or null where a browser has no WebAssembly with SIMD, or is not allowed to compile. */
function compile() {
  try {
    return new WebAssembly.Module(bytes(wasm));
  } catch {
    return null;
  }
}

let kernel; // compiled once, when first asked for

/** Whether products will be fast here. */
export function hasKernel() {
  if (kernel === undefined) kernel = compile();
  return kernel !== null;
}

/**
 * Room for `floats` numbers, and the product of matrices that lie in it.
 * plain: take the JavaScript product in any case.
 */
export function makeArena(floats, { plain = false } = {}) {
  const size = 4 * (floats + 1024);
  let buffer, product;
  if (!plain && hasKernel()) {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(size / 65536) });
    buffer = memory.buffer;
    const { gemm } = new WebAssembly.Instance(kernel, { lab: { memory } })
      .exports;
    product = (C, A, B, m, n, k, ar, ac, add) =>
      gemm(
        C.byteOffset,
        A.byteOffset,
        B.byteOffset,
        m,
        n,
        k,
        4 * ar,
        4 * ac,
        add ? 1 : 0,
      );
  } else {
    buffer = new ArrayBuffer(size);
    product = plainProduct;
  }
  let used = 0;
  return {
    fast: product !== plainProduct,
    /** A fresh array of zeros, on a border of 16 bytes. */
    floats(count) {
      const array = new Float32Array(buffer, used, count);
      used += 4 * Math.ceil(count / 4) * 4;
      return array;
    },
    /**
     * C (+)= A B.  C: m by n, B: k by n, row by row; m a multiple of 4, n of 8.
     * A: m by k, its element (i, p) at i * ar + p * ac: (k, 1) as it stands, (1, m) for the transpose of a k by m matrix.
     */
    product,
  };
}

function plainProduct(C, A, B, m, n, k, ar, ac, add) {
  const row = new Float64Array(n);
  for (let i = 0; i < m; i++) {
    row.fill(0);
    for (let p = 0; p < k; p++) {
      const a = A[i * ar + p * ac];
      if (a === 0) continue;
      for (let j = 0, q = p * n; j < n; j++, q++) row[j] += a * B[q];
    }
    for (let j = 0, q = i * n; j < n; j++, q++)
      C[q] = add ? C[q] + row[j] : row[j];
  }
}

/** Images that the reader brings: files, dropped or pasted ones, and the camera's; each becomes RGBA pixels. */
const LARGEST = 1024; // pixels of a side; what is larger is shrunk, as f sees far less

/** A Blob, or what can be drawn on a canvas -> {data, width, height}.  Error: a sentence. */
export async function pictureOf(source) {
  let image = source;
  if (source instanceof Blob)
    try {
      image = await createImageBitmap(source); // upright, as its EXIF says
    } catch {
      throw new Error(
        "This is no image that your browser can read; take a PNG or a JPEG file.",
      );
    }
  const wide = image.videoWidth ?? image.width;
  const high = image.videoHeight ?? image.height;
  const scale = Math.min(1, LARGEST / Math.max(wide, high));
  const [width, height] = [wide, high].map((side) =>
    Math.max(1, Math.round(side * scale)),
  );
  const sheet = Object.assign(document.createElement("canvas"), {
    width,
    height,
  });
  const context = sheet.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#ffffff"; // under what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** find(id): the page's parts.  taken(blob or video): something has been brought.  say(sentence). */
export function bindBringing({ find, taken, say }) {
  find("file").onchange = ({ target }) => {
    if (target.files.length) taken(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  };
  const inside = (event) => [...(event.dataTransfer?.items ?? [])].length > 0;
  addEventListener("dragover", (event) => {
    if (!inside(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", () =>
    document.body.classList.remove("dropping"),
  );
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    fromTransfer(event.dataTransfer);
  });
  addEventListener("paste", (event) => fromTransfer(event.clipboardData));

  function fromTransfer(transfer) {
    if (transfer?.files.length) taken(transfer.files[0]);
    else say("There is no image in that; drop or paste an image itself.");
  }

  let stream = null;
  find("camera").onclick = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: true });
    } catch {
      say(
        "There is no camera, or the browser does not let this page use it; allow it, or choose a file.",
      );
      return;
    }
    find("shot").hidden = false;
    find("video").srcObject = stream;
    await find("video").play();
    find("take").focus();
  };
  find("take").onclick = () => {
    taken(find("video"));
    end();
  };
  find("close").onclick = end;
  find("shot").onkeydown = (event) => event.key === "Escape" && end();

  function end() {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = find("video").srcObject = null;
    find("shot").hidden = true;
    find("camera").focus();
  }
}

/** Shows what is set in the address, without a new entry in the history where the browser allows it.  hash: with its #. */
export function showHash(hash) {
  if (hash === location.hash) return;
  try {
    history.replaceState(null, "", hash);
  } catch {
    location.hash = hash; // some browsers refuse the other for pages from disk
  }
}

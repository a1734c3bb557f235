// Bytes on the wire for one tab, as the browser's own developer tools count it.

/**
 * Counts from now on: `bytes()` of responses, heads and all; nothing for what came from the cache. `addresses()` has the
 * same by address without its query, each once, with the bytes of its largest response.
 */
export async function watchTraffic(page) {
  const session = await page.context().newCDPSession(page);
  let bytes = 0;
  const address = new Map();
  const largest = new Map();
  session.on('Network.requestWillBeSent', ({ requestId, request }) => address.set(requestId, new URL(request.url).pathname));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    bytes += encodedDataLength;
    const path = address.get(requestId);
    largest.set(path, Math.max(encodedDataLength, largest.get(path) ?? 0));
  });
  await session.send('Network.enable');
  return { bytes: () => bytes, addresses: () => largest };
}

// What crosses the wire for one tab, as the browser's own developer tools count it.

/** Counts from now on: `bytes()` of responses, heads and all; nothing for what came from the cache. */
export async function watchTraffic(page) {
  const session = await page.context().newCDPSession(page);
  let bytes = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => {
    bytes += encodedDataLength;
  });
  await session.send('Network.enable');
  return { bytes: () => bytes };
}

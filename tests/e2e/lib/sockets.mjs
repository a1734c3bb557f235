// The WebSockets that a page opens, as its browser sees them.

/** Collects the reasons for which sockets of this page could not be opened, from now on. */
export function failedSockets(page) {
  const reasons = [];
  page.on('websocket', (socket) => socket.on('socketerror', (reason) => reasons.push(reason)));
  return reasons;
}

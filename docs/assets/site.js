// The picture of the costs says how tall it is; its frame on the page follows.
window.addEventListener("message", (event) => {
  for (const frame of document.querySelectorAll("iframe.picture")) {
    if (event.source === frame.contentWindow && Number.isFinite(event.data?.height)) {
      frame.style.height = `${Math.ceil(event.data.height)}px`;
    }
  }
});

// Unpacks plotly.js and draws the plots; where that cannot be done, the page keeps showing their pictures.
(async () => {
  const canvas = document.createElement("canvas");
  const plots = [...document.querySelectorAll("script[data-plot]")];
  if (!window.DecompressionStream || !plots.length) return;
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), c => c.charCodeAt(0));
  const library = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(library).text();
  document.head.append(script);
  document.documentElement.classList.remove("static");
  for (const plot of plots) {
    const figure = JSON.parse(plot.textContent);
    const needsWebGL = figure.data.some(trace => trace.type === "parcoords");
    if (needsWebGL && !canvas.getContext("webgl")) plot.parentElement.classList.add("static");
    else await Plotly.newPlot(plot.dataset.plot, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  }
  document.documentElement.dataset.drawn = "yes";
})();

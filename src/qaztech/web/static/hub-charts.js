// Draws each figure that has data beside its table, which stays for who reads it so. Colours follow the page's own.
const language = document.documentElement.lang || "en";
// Browsers do not know these words in Kazakh.
const SCALES = { kk: ["мың", "млн", "млрд", "трлн"], ru: ["тыс.", "млн", "млрд", "трлн"], en: ["k", "M", "bn", "tn"] };
const plain = new Intl.NumberFormat(language === "en" ? "en" : "ru", { maximumFractionDigits: 1 });

function short(number) {
  const scale = Math.min(4, Math.floor(Math.log10(Math.max(1, Math.abs(number))) / 3));
  return scale ? `${plain.format(number / 1000 ** scale)} ${(SCALES[language] ?? SCALES.en)[scale - 1]}` : plain.format(number);
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    ink: of("--ink"), soft: of("--soft"), line: of("--line"),
    parts: [of("--accent"), of("--glow"), of("--ok"), of("--bad"), of("--grey"), of("--ink")],
  };
}

function options(data, tone, room) {
  const names = { type: "category", data: data.labels, inverse: data.lying,
    axisLabel: { color: tone.soft, width: data.lying ? Math.min(170, room * 0.38) : undefined, overflow: "truncate" }, axisLine: { lineStyle: { color: tone.line } } };
  const numbers = { type: "value", axisLabel: { color: tone.soft, formatter: short, hideOverlap: true }, minInterval: 1, splitNumber: room < 500 ? 2 : 5,
    splitLine: { lineStyle: { color: tone.line } } };
  return {
    animation: false, color: tone.parts, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    legend: data.series.length > 1 ? { type: "scroll", top: 0, textStyle: { color: tone.ink } } : undefined,
    grid: { left: 8, right: 16, top: data.series.length > 1 ? 36 : 12, bottom: 8, containLabel: true },
    // Drawn on the canvas: a tooltip of HTML would want styles in it, which the page forbids.
    tooltip: { trigger: "axis", renderMode: "richText", axisPointer: { type: "shadow" } },
    xAxis: data.lying ? numbers : names, yAxis: data.lying ? names : numbers,
    series: data.series.map((one) => ({ name: one.name, type: "bar", barMaxWidth: 56, data: one.data, stack: data.stacked ? "all" : undefined })),
  };
}

function draw(figure) {
  const place = figure.querySelector(".picture");
  const data = JSON.parse(figure.dataset.chart);
  figure.classList.add("drawn");
  const chart = window.echarts.init(place, null, { renderer: "canvas" });
  const paint = () => chart.setOption(options(data, colours(), place.clientWidth), true);
  paint();
  figure.querySelector("details")?.removeAttribute("open");
  new ResizeObserver(() => { chart.resize(); paint(); }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
}

for (const figure of document.querySelectorAll("figure[data-chart]")) draw(figure);

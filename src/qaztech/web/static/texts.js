// Words for people, in the language they read. Texts are data (texts/*.json); nothing here is ever markup.

/** `t(section, key, data)`: a text with its {places} filled; the key itself where there is none, so that it is noticed. */
export function translator(texts) {
  return (section, key, data = {}) => {
    const found = texts[section]?.[key];
    const text = Array.isArray(found) ? found[0] : (found ?? key);
    return text.replace(/\{([a-z]+)\}/g, (place, name) => (name in data ? String(data[name]) : place));
  };
}

/** A moment (milliseconds) on the clocks of Kazakhstan, which show UTC+5 everywhere since March 2024. */
export function showTime(milliseconds, _language, { date = true, fraction = false } = {}) {
  // By hand: not every browser has Kazakh months, and DD.MM.YYYY is how all three languages write a date here.
  const local = new Date(milliseconds + 5 * 3600 * 1000).toISOString();
  const [year, month, day] = local.slice(0, 10).split("-");
  const clock = local.slice(11, fraction ? 23 : 19);
  const text = date ? `${day}.${month}.${year} ${clock}` : clock;
  return date ? `${text} (UTC+5)` : text;
}

/** How long ago, roughly. */
export function showAge(milliseconds, t) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 90) return t("portal", "seconds", { n: seconds });
  if (seconds < 5400) return t("portal", "minutes", { n: Math.round(seconds / 60) });
  if (seconds < 129600) return t("portal", "hours", { n: Math.round(seconds / 3600) });
  return t("portal", "days", { n: Math.round(seconds / 86400) });
}

/** An element. Attributes are set as such, functions become listeners, strings become text and nothing else. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button that copies a text, and says so. */
export function copyButton(text, t) {
  const label = h("span", { "aria-live": "polite" }, t("receipt", "copy"));
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = h("textarea", { class: "unseen", readonly: true }, text);
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    label.textContent = t("receipt", "copied");
    setTimeout(() => (label.textContent = t("receipt", "copy")), 2000);
  };
  return h("button", { type: "button", class: "small", click: copy }, label);
}

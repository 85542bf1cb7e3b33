// All text that can be seen whose contrast with its background is too low (WCAG 2.2, 1.4.3), and all lines and areas of
// drawings likewise (1.4.11): what it is, the ratio, and both colours. arguments: the least ratio of text, and of drawings.
const [leastText, leastDrawn] = arguments;
const parts = colour => colour.match(/[\d.]+/g).map(Number);
const opaque = colour => colour.startsWith("rgb") && (parts(colour)[3] ?? 1) === 1;
const luminance = colour => {
  const [r, g, b] = parts(colour).map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (one, other) => {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
const background = element => {
  for (let one = element; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (opaque(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const low = [];
let looked = 0;
const look = (name, element, colour, least) => {
  const behind = background(element);
  looked += 1;
  if (!opaque(colour) || ratio(colour, behind) < least)
    low.push(name + ": " + colour + " on " + behind);
};
for (const element of document.body.querySelectorAll("*")) {
  if (!element.checkVisibility() || ["SCRIPT", "title"].includes(element.tagName)) continue;
  const style = getComputedStyle(element), after = getComputedStyle(element, "::after");
  const text = Array.from(element.childNodes).filter(one => one.nodeType === Node.TEXT_NODE)
    .map(one => one.data.trim()).join("");
  if (text) look(text.slice(0, 40), element, element.closest("svg") ? style.fill : style.color, leastText);
  if (!["none", "normal"].includes(after.content)) look(after.content, element, after.color, leastText);
  if (element.matches(".whisker, .mark")) look(element.className.baseVal, element, style.stroke, leastDrawn);
  if (element.matches(".bar")) look("bar", element, style.fill, leastDrawn);
}
return {low: low, looked: looked};

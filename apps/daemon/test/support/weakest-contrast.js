// Runs in the page: the least contrast (WCAG 2) between the colour of a text and what is behind it.
(() => {
  const numbers = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (colour) => {
    const [red, green, blue] = numbers(colour).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    if (!element) return 'rgb(255, 255, 255)';
    const colour = window.getComputedStyle(element).backgroundColor;
    return numbers(colour)[3] === 0 ? behind(element.parentElement) : colour;
  };
  const hasText = (element) =>
    element.getClientRects().length > 0 &&
    [...element.childNodes].some((node) => node.nodeType === 3 && node.nodeValue.trim() !== '');
  const contrasts = [...document.querySelectorAll('body *')].filter(hasText).map((element) => {
    const of = [luminance(window.getComputedStyle(element).color), luminance(behind(element))];
    return (Math.max(...of) + 0.05) / (Math.min(...of) + 0.05);
  });
  return Math.min(...contrasts);
})();

// Light or dark. No module: it runs before anything is painted, for nobody in a dark room wants to see a white page first.
{
  const KEPT = "seashore-scheme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const systems = () => (system.matches ? "dark" : "light");

  const wear = () => {
    document.documentElement.dataset.scheme = localStorage.getItem(KEPT) ?? systems();
  };
  wear();
  system.addEventListener("change", wear);
  addEventListener("storage", wear); // it was chosen in another tab
  addEventListener("scheme", ({ detail: scheme }) => {
    if (scheme === systems()) localStorage.removeItem(KEPT); // the system is followed again
    else localStorage.setItem(KEPT, scheme);
    wear();
  });
}

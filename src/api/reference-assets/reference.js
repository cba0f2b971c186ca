// Search, colours, copying and the mark on the current heading. The page reads without any of it.
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const stored = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  };
  if (stored()) root.dataset.theme = stored();

  document.addEventListener("DOMContentLoaded", () => {
    const nav = document.getElementById("nav");
    const menu = document.querySelector(".menu");
    const search = document.getElementById("search");

    const isDark = () =>
      root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
    document.querySelector(".theme").addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      try {
        localStorage.setItem("theme", root.dataset.theme);
      } catch {}
    });

    const openMenu = (open) => {
      root.classList.toggle("nav-open", open);
      menu.setAttribute("aria-expanded", String(open));
    };
    menu.addEventListener("click", () => openMenu(!root.classList.contains("nav-open")));
    nav.addEventListener("click", (event) => {
      if (event.target.closest("a")) openMenu(false);
    });

    // Search: every word must occur somewhere in the endpoint, problem or schema.
    const entries = [...document.querySelectorAll("article, .problem")].map((element) => ({
      element,
      // Not what only the answers hold: nearly every answer has an id and a status.
      text: [...element.querySelectorAll("h3, .address, .operation-main > p, .operation-main > .members, .refusals, .member-name")]
        .filter((part) => !part.closest(".answer"))
        .concat(element.matches(".operation") ? [] : element)
        .map((part) => part.textContent)
        .join(" ")
        .toLowerCase(),
      link: nav.querySelector(`a[href="#${element.id}"]`)?.closest("li") ?? null,
    }));
    const apply = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const searching = words.length > 0;
      root.classList.toggle("searching", searching);
      let found = 0;
      for (const { element, text, link } of entries) {
        const hit = words.every((word) => text.includes(word));
        element.hidden = !hit;
        if (link) link.hidden = !hit;
        if (hit) found += 1;
      }
      for (const group of document.querySelectorAll("main > .group:not(.intro)"))
        group.hidden = searching && !group.querySelector("article:not([hidden]), .problem:not([hidden])");
      for (const section of nav.querySelectorAll(".nav-section"))
        section.hidden = searching && !section.querySelector("li:not([hidden])");
      nav.querySelector(".nothing").hidden = found > 0;
      if (searching) window.scrollTo(0, 0);
    };
    search.addEventListener("input", apply);
    addEventListener("keydown", (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
      if (event.key === "/" && !typing) {
        event.preventDefault();
        search.focus();
        search.select();
      } else if (event.key === "Escape") {
        if (search.value) {
          search.value = "";
          apply();
        }
        search.blur();
        openMenu(false);
      } else if (event.key === "Enter" && document.activeElement === search) {
        const first = entries.find(({ element }) => !element.hidden);
        if (first) location.hash = first.element.id;
      }
    });
    // A link to something that the search hides must still lead there.
    addEventListener("hashchange", () => {
      const target = document.getElementById(location.hash.slice(1));
      if (target?.closest("[hidden]")) {
        search.value = "";
        apply();
        target.scrollIntoView();
      }
    });

    for (const button of document.querySelectorAll(".copy")) {
      button.addEventListener("click", async () => {
        const text = button.closest("figure").querySelector("code").textContent;
        try {
          await navigator.clipboard.writeText(text);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Press Ctrl+C";
          getSelection().selectAllChildren(button.closest("figure").querySelector("code"));
        }
        setTimeout(() => {
          button.textContent = "Copy";
        }, 1500);
      });
    }

    const links = new Map(
      [...nav.querySelectorAll("a[href^='#']")].map((link) => [link.hash.slice(1), link]),
    );
    let current;
    const observer = new IntersectionObserver(
      (seen) => {
        for (const { isIntersecting, target } of seen) {
          if (!isIntersecting) continue;
          current?.removeAttribute("aria-current");
          current = links.get(target.id);
          current?.setAttribute("aria-current", "true");
          const box = current?.getBoundingClientRect();
          if (box && (box.top < 80 || box.bottom > innerHeight - 20))
            current.scrollIntoView({ block: "center" });
        }
      },
      { rootMargin: "-64px 0px -75% 0px" },
    );
    for (const id of links.keys()) {
      const target = document.getElementById(id);
      if (target) observer.observe(target.matches("section:not(.intro)") ? target.querySelector("h2") : target);
    }
  });
})();

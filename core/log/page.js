
"use strict";
/* Only adds to what is there, and makes no HTML out of text: a click on a head sorts, and the last table of
 * a run gets a field that filters it. */
for (const table of document.querySelectorAll("table")) {
	const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
	const value = (row, i) => {
		const cell = row.cells[i];
		return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent;
	};
	heads.forEach((head, i) => {
		const sort = () => {
			const now = head.getAttribute("aria-sort");
			const up = now ? now === "descending" : !head.classList.contains("num");
			const rows = [...body.rows].map(row => [value(row, i), row]);

			rows.sort(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1));
			heads.forEach(other => other.removeAttribute("aria-sort"));
			head.setAttribute("aria-sort", up ? "ascending" : "descending");
			body.append(...rows.map(([, row]) => row));
		};
		head.classList.add("sorts");
		head.tabIndex = 0;
		head.addEventListener("click", sort);
		head.addEventListener("keydown", e => { if (e.key === "Enter") sort(); });
	});
}
for (const place of document.querySelectorAll(".filter")) {
	const rows = [...place.nextElementSibling.querySelectorAll("tbody tr")];
	const texts = rows.map(row => row.textContent.toLowerCase());
	const input = document.createElement("input"), count = document.createElement("span");

	input.type = "search";
	input.placeholder = "filter: words that a row must hold, as in: deny .ssh";
	input.setAttribute("aria-label", "filter the rows");
	input.addEventListener("input", () => {
		const words = input.value.toLowerCase().split(/\s+/).filter(word => word);
		let shown = 0;

		rows.forEach((row, i) => {
			row.hidden = !words.every(word => texts[i].includes(word));
			shown += !row.hidden;
		});
		count.textContent = words.length ? shown + " of " + rows.length + " rows" : "";
	});
	place.append(input, count);
}

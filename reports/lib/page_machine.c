/* page_machine.c: the machine in a few lines, and its picture. */
#include <hwloc.h>
#include <string.h>
#include <unistd.h>

#include "markup.h"
#include "page.h"
#include "process.h"
#include "svg.h"

enum { LSTOPO_SECONDS = 20, PICTURE_BYTES_MAX = 400 * 1024, TREE_LINES_MAX = 400 };

static const char *fact_of(const struct result *result, const char *label) {
    for (int i = 0; i < result->machine.fact_count; i++)
        if (strcmp(result->machine.facts[i].label, label) == 0) return result->machine.facts[i].value;
    return "";
}

/* Do all results say the same? */
static bool shared(const struct page *page, const char *label) {
    for (size_t i = 1; i < page->result_count; i++)
        if (strcmp(fact_of(&page->results[i], label), fact_of(&page->results[0], label)) != 0) return false;
    return true;
}

/* What all results have in common; of one result, all. */
static void facts(struct page *page) {
    const struct machine *machine = &page->results[0].machine;
    page_markup(page, "<dl class=\"facts\">\n");
    for (int i = 0; i < machine->fact_count; i++) {
        if (!shared(page, machine->facts[i].label)) continue;
        page_markup(page, "<div><dt>");
        page_text(page, machine->facts[i].label);
        page_markup(page, "</dt><dd>");
        page_text(page, machine->facts[i].value);
        page_markup(page, "</dd></div>\n");
    }
    page_markup(page, "</dl>\n");
}

static void difference(struct page *page, const char *label) {
    page_markup(page, "<tr><th scope=\"row\">");
    page_text(page, label);
    page_markup(page, "</th>");
    for (size_t r = 0; r < page->result_count; r++) {
        const char *value = fact_of(&page->results[r], label);
        page_markup(page, "<td class=\"note\">");
        page_text(page, value[0] != 0 ? value : "\xe2\x80\x93");
        page_markup(page, "</td>");
    }
    page_markup(page, "</tr>\n");
}

static void differences(struct page *page) {
    page_markup(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"What differs\">\n<table>\n"
                      "<caption>What differs between the runs.</caption>\n<thead><tr><th scope=\"col\">what</th>");
    for (size_t r = 0; r < page->result_count; r++) {
        page_markup(page, "<th scope=\"col\">");
        page_text(page, page->results[r].label);
        page_markup(page, "</th>");
    }
    page_markup(page, "</tr></thead>\n<tbody>\n<tr><th scope=\"row\">Measured</th>");
    for (size_t r = 0; r < page->result_count; r++) {
        page_markup(page, "<td class=\"note\">");
        page_text(page, page->results[r].machine.created);
        page_markup(page, "</td>");
    }
    page_markup(page, "</tr>\n");
    for (size_t r = 0; r < page->result_count; r++)
        for (int i = 0; i < page->results[r].machine.fact_count; i++) {
            const char *label = page->results[r].machine.facts[i].label;
            bool told = shared(page, label);
            for (size_t before = 0; before < r; before++) told = told || fact_of(&page->results[before], label)[0] != 0;
            if (!told) difference(page, label);
        }
    page_markup(page, "</tbody>\n</table>\n</div>\n");
}

static void notices(struct page *page, const struct result *result) {
    const char *which = page->result_count > 1 ? result->label : "";
    if (result->has_manifest && result->machine.has_gpu) return;
    page_markup(page, result->has_manifest ? "<p>" : "<p class=\"notice\">");
    if (which[0] != 0) page_text(page, which), page_markup(page, ": ");
    page_markup(page, result->has_manifest ? "No GPU was there: what runs on one was not measured.</p>\n"
                                           : "The folder has no manifest.json: nothing is known of the machine.</p>\n");
}

static bool picture(struct page *page, const char *path) {
    static const char *const programs[] = {"lstopo", "lstopo-no-graphics", "hwloc-ls"};
    struct text drawing = {0};
    bool drawn = false;
    for (size_t i = 0; i < ARRAY_LENGTH(programs) && !drawn; i++) {
        char *const argv[] = {(char *)programs[i],
                              "--input",
                              (char *)path,
                              "--input-format",
                              "xml",
                              "--output-format",
                              "nativesvg",
                              "--no-legend",
                              "--no-icaches",
                              "-",
                              NULL};
        if (!process_run(argv, "", LSTOPO_SECONDS, &drawing) || drawing.length > PICTURE_BYTES_MAX) continue;
        struct text svg = {0};
        char prefix[32];
        snprintf(prefix, sizeof prefix, "t%zu-", page->drawing_count++);
        if (svg_inline(&svg, drawing.data, prefix, "topology", "Topology of the machine",
                       "Packages, caches, cores and devices as boxes inside one another, drawn by hwloc.",
                       SVG_DROP_COLORS)) {
            page_markup(page, "<figure class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Topology\">");
            page_markup(page, svg.data);
            page_markup(page, "</figure>\n");
            drawn = true;
        }
        text_release(&svg);
    }
    text_release(&drawing);
    return drawn;
}

static void tree_of(FILE *out, hwloc_obj_t object, int depth, int *lines) {
    if (++*lines > TREE_LINES_MAX) return;
    char type[64], attributes[128];
    hwloc_obj_type_snprintf(type, sizeof type, object, 0);
    hwloc_obj_attr_snprintf(attributes, sizeof attributes, object, " ", 0);
    fprintf(out, "%*s%s%s%s%s%s\n", 2 * depth, "", type, attributes[0] ? " (" : "", attributes,
            attributes[0] ? ")" : "", object->name != NULL && depth > 0 ? object->name : "");
    for (unsigned i = 0; i < object->arity; i++) tree_of(out, object->children[i], depth + 1, lines);
}

static void write_tree(FILE *out, const char *path) {
    hwloc_topology_t topology;
    int lines = 0;
    if (hwloc_topology_init(&topology) != 0) _exit(1);
    if (hwloc_topology_set_xml(topology, path) != 0 || hwloc_topology_load(topology) != 0) _exit(1);
    tree_of(out, hwloc_get_root_obj(topology), 0, &lines);
    if (lines > TREE_LINES_MAX) fprintf(out, "and %d more\n", lines - TREE_LINES_MAX);
    hwloc_topology_destroy(topology);
}

static void topology(struct page *page, const struct result *result) {
    struct text path = {0}, tree = {0};
    text_add(&path, "%s/topology.xml", result->folder);
    if (access(path.data, R_OK) != 0) {
        page_markup(page, "<p class=\"quiet\">The folder has no topology.xml: no picture of the machine.</p>\n");
    } else if (!picture(page, path.data)) {
        page_markup(page,
                    "<p class=\"quiet\">hwloc's lstopo drew nothing (not installed, or the file is damaged or too "
                    "large for a picture)");
        if (process_isolated(write_tree, path.data, LSTOPO_SECONDS, &tree)) {
            page_markup(page, "; the same as text:</p>\n<pre class=\"scroll\" tabindex=\"0\">");
            page_text(page, tree.data);
            page_markup(page, "</pre>\n");
        } else {
            page_markup(page, ".</p>\n");
        }
    }
    text_release(&path);
    text_release(&tree);
}

void page_machines(struct page *page) {
    bool several = page->result_count > 1;
    page_markup(page, several ? "<section id=\"machine\">\n<h2>The machines</h2>\n"
                              : "<section id=\"machine\">\n<h2>The machine</h2>\n");
    if (several) differences(page);
    facts(page);
    for (size_t i = 0; i < page->result_count; i++) {
        notices(page, &page->results[i]);
        if (!page->draw) continue;
        if (several) {
            page_markup(page, "<details><summary>Topology: ");
            page_text(page, page->results[i].label);
            page_markup(page, "</summary>\n");
        }
        topology(page, &page->results[i]);
        if (several) page_markup(page, "</details>\n");
    }
    page_markup(page, "</section>\n");
}

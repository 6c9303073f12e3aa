/* svg.h: the drawing of another program as part of the page. */
#ifndef REPORTS_SVG_H
#define REPORTS_SVG_H

#include "bench/text.h"

/* Colours that the plots ask for by number and the style sheet decides on, light or dark: "#0000NN" in a drawing
   becomes the CSS variable. */
enum svg_color { SVG_INK = 1, SVG_GRID, SVG_LIMIT, SVG_SERIES };
enum { SERIES_COLORS = 8 };

enum svg_paint { SVG_KEEP_COLORS, SVG_DROP_COLORS }; /* dropped: the style sheet goes by class */

/* Adds the drawing with a title and a description for those who cannot see it. Only shapes, groups and text get
   through, with the attributes that draw them: no script, style, link, event or outside address; so what made the
   drawing need not be trusted. Identifiers get `prefix`, as a page holds many drawings. Returns 0, and adds nothing, if
   there is no <svg> with a viewBox in it. */
int svg_inline(struct text *out, const char *drawing, const char *prefix, const char *class, const char *title,
               const char *description, enum svg_paint paint);
#endif

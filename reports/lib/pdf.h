/* pdf.h: a page on paper, by whatever prints HTML on this machine. */
#ifndef REPORTS_PDF_H
#define REPORTS_PDF_H

#include "problem.h"

enum pdf_outcome { PDF_MADE, PDF_NO_PROGRAM, PDF_FAILED };

/* Prints html into pdf (its bytes) by the first program found of: chromium, chromium-browser, google-chrome,
   weasyprint, wkhtmltopdf. problem is set unless it was made. Works in a folder of its own below TMPDIR, which it takes
   away again. */
enum pdf_outcome pdf_print(const struct text *html, struct text *pdf, struct problem *problem);
#endif

#pragma once
/* page_style -- the status page's styles. Colours have a contrast of 4.5 and more in both schemes. */
extern const char page_css[];
extern const char page_svg[]; /* the mark */

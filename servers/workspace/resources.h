#pragma once
/* resources -- files as resources: workspace://{id}/files/{+path}. */
#include "servers/workspace/workspace.h"

/* "workspace://main/files/a%20b" */
void resource_add_uri(struct buf *out, const struct root *root, const char *path);
void resources_list(struct order *o); /* the files right in each folder */
void resource_read(struct order *o, struct bytes uri);
int resource_subscribe(void *server, struct bytes uri, struct why *why);
void resource_unsubscribe(void *server, struct bytes uri);

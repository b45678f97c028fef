#pragma once
/* tmp -- what kit_run cleans up at the end of a program. */
void kit_tmp_remove(void);
void kit_clock_release(void);

#include "cli/commands.h"

int doctor_run(struct cli *c)
{
    (void)c;
    return EXIT_FAILED;
}
int complete_run(struct cli *c)
{
    (void)c;
    return EXIT_FAILED;
}

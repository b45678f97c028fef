/* fuzz_main -- replays the seeds of a fuzz target without libFuzzer: `replay_x FOLDER...`, every file in each
 * folder once. So what the fuzzer once found is looked for again in every build, by every compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rbe");
    if (!f || fseek(f, 0, SEEK_END) < 0)
        return NULL;
    long size = ftell(f);
    rewind(f);
    /* Exactly as large as the file, so that the address sanitizer sees a read of one byte too many. */
    unsigned char *p = size < 0 ? NULL : malloc((size_t)size ? (size_t)size : 1);
    *n = p ? fread(p, 1, (size_t)size, f) : 0;
    fclose(f);
    return p;
}

static int replay(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    int done = 0;
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        size_t n;
        unsigned char *p = entries[i]->d_name[0] == '.' ? NULL : read_all(path, &n);
        free(entries[i]);
        if (!p)
            continue;
        printf("%s\n", path);
        fflush(stdout); /* the last line printed names the seed that ends the program */
        LLVMFuzzerTestOneInput(p, n);
        free(p);
        done++;
    }
    if (count >= 0)
        free(entries);
    return done;
}

int main(int argc, char **argv)
{
    int done = 0;
    for (int i = 1; i < argc; i++)
        done += replay(argv[i]);
    printf("%d seeds\n", done);
    /* A target without seeds checks nothing: that is no success. */
    return done > 0 ? 0 : 1;
}

#pragma once
/*
 * why -- what went wrong, told once, by the function where it went wrong.
 *
 * A function that can fail takes `struct why *why` (NULL: the caller does not care) and returns an int: 0
 * done, < 0 fatal to the caller's job and passed on unchanged, > 0 an outcome its header names. The text is
 * lower case, without a full stop, what failed first, the subject in quotes, never a secret.
 */
struct why {
    int code;
    char text[160];
};

/* Fills `why` (if any) and returns `code`, so that `return why_set(why, -1, "...")` reads well. A text that
 * does not fit is cut at a UTF-8 boundary. */
int why_set(struct why *why, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with strerror(error) appended after ": ". Returns -error. */
int why_errno(struct why *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define _GNU_SOURCE /* pipe2 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "markup.h"
#include "pool.h"

enum { OUTPUT_MAX = 64 << 20 };

static pid_t start(char *const argv[], int input, int output) {
    struct pool pool = {0};
    const char *path = getenv("PATH"), *home = getenv("HOME");
    char *environment[] = {"LC_ALL=C", pool_format(&pool, "PATH=%s", path != NULL ? path : "/usr/bin:/bin"),
                           pool_format(&pool, "HOME=%s", home != NULL ? home : "/"), NULL};
    posix_spawn_file_actions_t actions;
    pid_t child = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&child, argv[0], &actions, NULL, argv, environment) != 0) child = -1;
    posix_spawn_file_actions_destroy(&actions);
    pool_release(&pool);
    return child;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Both directions at once: a filter may write before it has read everything. true: the child closed its output. */
static bool exchange(int to_child, int from_child, const char *input, double deadline, struct text *output) {
    size_t left = strlen(input);
    char buffer[16384];
    while (now() < deadline && output->length < OUTPUT_MAX) {
        if (left == 0 && to_child >= 0) {
            close(to_child);
            to_child = -1;
        }
        struct pollfd polled[2] = {{.fd = from_child, .events = POLLIN}, {.fd = to_child, .events = POLLOUT}};
        if (poll(polled, 2, 200) < 0 && errno != EINTR) break;
        if (polled[1].revents != 0) {
            ssize_t written = write(to_child, input, left);
            if (written > 0) input += written, left -= (size_t)written;
            else if (errno != EAGAIN && errno != EINTR) left = 0;
        }
        if (polled[0].revents == 0) continue;
        ssize_t got = read(from_child, buffer, sizeof buffer);
        if (got > 0) text_bytes(output, buffer, (size_t)got);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            if (to_child >= 0) close(to_child);
            return got == 0;
        }
    }
    if (to_child >= 0) close(to_child);
    return false;
}

/* The child's end, once its output is whole or it is late. true: status 0. */
static bool finish(pid_t child, bool whole) {
    int status = -1;
    if (!whole) kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return whole && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool process_run(char *const argv[], const char *input, double seconds, struct text *output) {
    int down[2], up[2];
    text_clear(output);
    if (pipe2(down, O_CLOEXEC) != 0) return false;
    if (pipe2(up, O_CLOEXEC) != 0) {
        close(down[0]), close(down[1]);
        return false;
    }
    pid_t child = start(argv, down[0], up[1]);
    close(down[0]), close(up[1]);
    bool whole = false;
    if (child > 0) {
        fcntl(down[1], F_SETFL, O_NONBLOCK);
        whole = exchange(down[1], up[0], input, now() + seconds, output);
    } else {
        close(down[1]);
    }
    close(up[0]);
    return child > 0 && finish(child, whole);
}

bool process_isolated(void (*work)(FILE *out, const char *argument), const char *argument, double seconds,
                      struct text *output) {
    int up[2];
    text_clear(output);
    if (pipe2(up, O_CLOEXEC) != 0) return false;
    pid_t child = fork();
    if (child == 0) {
        FILE *out = fdopen(up[1], "w");
        if (out != NULL) work(out, argument);
        _exit(out != NULL && fclose(out) == 0 ? 0 : 1);
    }
    close(up[1]);
    bool whole = child > 0 && exchange(-1, up[0], "", now() + seconds, output);
    close(up[0]);
    return child > 0 && finish(child, whole);
}

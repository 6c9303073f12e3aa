/* lifeline.c: see lifeline.h. */
#include "lifeline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_SIZE = 64, TEXT_SIZE = 256, ADDRESSES_MAX = 16, POLL_MS = 200 };
enum { LIFE_LIMIT = 6 }; /* seconds that ending a launch may take before the kernel ends it */
static const double silence = 3;   /* seconds without a word after which a rank counts as stopped */
static const double grace = 2;     /* what rank 0 gets to act before rank 1 does, and that before the others */

/* What goes over a line, whole, in the byte order of a launch's equal machines. */
enum kind { KIND_BEAT = 'B', KIND_LEAVES = 'L', KIND_FAILED = 'F', KIND_ABORT = 'A' };
struct message {
    int32_t kind, rank, phase, process;
    int64_t current; /* index of the case */
    char host[HOST_SIZE], text[TEXT_SIZE];
};
struct line {
    int socket; /* -1: none, or no more */
    bool left;  /* said that it would */
    bool full;  /* nobody reads at its other end, and half a message may be in it */
    double heard;
    struct message last;
};
struct address_list {
    uint16_t port;
    uint32_t count, address[ADDRESSES_MAX];
};

static struct {
    int rank, size, listener;
    struct line *lines; /* rank 0: by rank; else one, to rank 0 */
    struct shared *shared;
    double limit, arriving_since;
    volatile bool connected, leaving;
    lifeline_verdict *verdict;
    char host[HOST_SIZE];
    pthread_t thread;
} life = {.size = 1, .listener = -1};
void (*lifeline_before_abort)(void);

static struct message message_of(enum kind kind, const char *text) {
    struct message message = {.kind = kind, .rank = life.rank, .process = getpid(),
                              .phase = life.shared != NULL ? life.shared->phase : PHASE_IDLE,
                              .current = life.shared != NULL ? (int64_t)life.shared->current : -1};
    memcpy(message.host, life.host, sizeof message.host);
    snprintf(message.text, sizeof message.text, "%s", text);
    return message;
}

static void say(struct line *line, enum kind kind, const char *text) {
    struct message message = message_of(kind, text);
    if (line->socket < 0 || line->full) return;
    ssize_t n = send(line->socket, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
    line->full = n != (ssize_t)sizeof message;
}

static size_t line_count(void) { return life.lines == NULL ? 0 : life.rank == 0 ? (size_t)life.size : 1; }

static void say_to_all(enum kind kind, const char *text) {
    for (size_t i = 0; i < line_count(); i++) say(&life.lines[i], kind, text);
}

/* The kernel's alarm ends this process if the orderly way gets stuck, as MPI_Abort does when MPI itself is. */
static void __attribute__((noreturn)) abort_launch(void) {
    signal(SIGALRM, SIG_DFL);
    alarm(LIFE_LIMIT);
    say_to_all(KIND_ABORT, "");
    if (lifeline_before_abort != NULL) lifeline_before_abort();
    if (life.rank == 0) usleep(300000); /* the others abort what they hold too */
    fflush(NULL);
    if (life.connected) rank_backend->abort(EXIT_RESTART);
    _exit(EXIT_RESTART);
}

static void __attribute__((noreturn)) end_launch(enum status status, const char *reason, bool writes) {
    char line[TEXT_SIZE + 128];
    int length = snprintf(line, sizeof line, "%s: %s\n", bench.name, reason);
    if (writes && write(STDERR_FILENO, line, (size_t)length) < 0) errno = 0;
    if (writes) life.verdict(status, reason);
    else usleep(2500000); /* somebody else is writing */
    abort_launch();
}

/* Who is lost, as a reason; false: nobody. */
static bool find_broken(char *reason) {
    for (size_t i = 0; i < line_count(); i++) {
        const struct line *line = &life.lines[i];
        if (line->socket >= 0 || line->left || line->last.kind == 0) continue;
        if (line->last.kind == KIND_FAILED)
            snprintf(reason, REASON_SIZE, "rank %d on %s: %s", line->last.rank, line->last.host, line->last.text);
        else
            snprintf(reason, REASON_SIZE, "rank %d on %s died in %s", line->last.rank, line->last.host,
                     phase_names[line->last.phase]);
        return true;
    }
    return false;
}

/* How long a rank has to be silent to count as stopped. */
static double long_enough(void) { return silence < life.limit / 2 ? silence : life.limit / 2; }

/* At the time limit: the ranks that are silent, and those that are behind this one. false: it is nobody's fault yet. */
static bool blame(char *reason) {
    double now = bench_seconds();
    const struct message own = message_of(KIND_BEAT, "");
    int length = snprintf(reason, REASON_SIZE, "took longer than %g s, in %s on rank %d on %s", life.limit,
                          phase_names[own.phase], life.rank, life.host);
    int named = 0;
    for (size_t i = 0; i < line_count() && length < REASON_SIZE && named < 4; i++) {
        const struct line *line = &life.lines[i];
        bool silent = line->last.kind != 0 && !line->left && now - line->heard > long_enough();
        bool behind = line->last.kind != 0 && (line->last.current < own.current ||
                      (line->last.current == own.current && line->last.phase < own.phase));
        if (silent)
            length += snprintf(reason + length, (size_t)(REASON_SIZE - length), "; rank %d on %s does not answer",
                               line->last.rank, line->last.host);
        else if (line->left)
            length += snprintf(reason + length, (size_t)(REASON_SIZE - length), "; rank %d on %s was told to end",
                               line->last.rank, line->last.host);
        else if (behind)
            length += snprintf(reason + length, (size_t)(REASON_SIZE - length), "; rank %d on %s is behind, in %s",
                               line->last.rank, line->last.host, phase_names[line->last.phase]);
        named += silent || behind || line->left;
    }
    return named > 0;
}

static void take_message(struct line *line, const struct message *message) {
    line->last = *message;
    line->heard = bench_seconds();
    if (message->kind == KIND_LEAVES) line->left = true;
    if (message->kind == KIND_FAILED) { /* it waits for us to end the launch */
        close(line->socket);
        line->socket = -1;
    }
    if (message->kind == KIND_ABORT) abort_launch();
}

/* All that has come; a broken connection is one without a socket. */
static void read_line(struct line *line) {
    struct message message;
    while (line->socket >= 0) {
        ssize_t n = recv(line->socket, &message, sizeof message, MSG_DONTWAIT | MSG_PEEK);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n > 0 && (size_t)n < sizeof message) return; /* the rest is on its way */
        if (n > 0) n = recv(line->socket, &message, sizeof message, MSG_WAITALL);
        if (n == (ssize_t)sizeof message) {
            take_message(line, &message);
            continue;
        }
        close(line->socket);
        line->socket = -1;
    }
}

/* Connections come in any order; the first message says whose it is. */
static void accept_line(void) {
    struct message message;
    int socket = accept(life.listener, NULL, NULL);
    const struct timeval patience = {.tv_sec = 1};
    if (socket < 0) return;
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    bool whole = recv(socket, &message, sizeof message, MSG_WAITALL) == (ssize_t)sizeof message;
    if (!whole || message.rank <= 0 || message.rank >= life.size || life.lines[message.rank].socket >= 0) {
        close(socket);
        return;
    }
    life.lines[message.rank].socket = socket;
    take_message(&life.lines[message.rank], &message);
}

static void listen_to_lines(void) {
    size_t count = line_count();
    struct pollfd *watched = calloc(count + 1, sizeof *watched);
    if (watched == NULL) return;
    for (size_t i = 0; i < count; i++) watched[i] = (struct pollfd){.fd = life.lines[i].socket, .events = POLLIN};
    watched[count] = (struct pollfd){.fd = life.listener, .events = POLLIN};
    if (poll(watched, (nfds_t)count + 1, POLL_MS) > 0) {
        for (size_t i = 0; i < count; i++)
            if (watched[i].revents != 0 && life.lines[i].socket >= 0) read_line(&life.lines[i]);
        if (watched[count].revents != 0) accept_line();
    }
    free(watched);
}

/* A handler, since blocking the signal leaves out threads that libraries make before main begins. */
static volatile sig_atomic_t told_to_end;
static void note_termination(int signal_number) { told_to_end = signal_number; }

/* Told to end: by somebody who wants the launch to end, or by the launcher because a rank has died. */
static void take_termination(void) {
    char reason[REASON_SIZE];
    if (!told_to_end) return;
    say_to_all(KIND_LEAVES, "");
    for (int i = 0; i < 2 && life.connected; i++) {
        listen_to_lines();
        bool writes = life.rank == 0 || (life.rank == 1 && life.lines[0].socket < 0);
        if (life.shared != NULL && find_broken(reason)) end_launch(STATUS_failed, reason, writes);
    }
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
}

static void judge(void) {
    char reason[REASON_SIZE];
    double now = bench_seconds();
    if (!life.connected) {
        if (now - life.arriving_since < life.limit) return;
        snprintf(reason, sizeof reason, "not all ranks came within %g s: rank 0 on %s waited in MPI_Init", life.limit,
                 life.host);
        end_launch(STATUS_timeout, reason, speaks());
    }
    bool writes = life.rank == 0;
    if (find_broken(reason)) end_launch(STATUS_failed, reason, writes || life.rank == 1);
    if (life.shared == NULL || life.shared->phase == PHASE_IDLE) return;
    double late = now - life.shared->started - life.limit, turn = life.rank < 2 ? life.rank : 2;
    if (late < turn * (long_enough() + grace)) return;
    if (!blame(reason) && late < turn * (long_enough() + grace) + long_enough()) return; /* stopped a moment ago? */
    if (life.rank == 1 && life.lines[0].socket >= 0 && strcmp(life.lines[0].last.host, life.host) == 0) {
        kill(life.lines[0].last.process, SIGKILL); /* stopped as it is, it holds the lock on the files */
        usleep(300000);
    }
    end_launch(STATUS_timeout, reason, writes || life.rank == 1);
}

static void *live(void *unused) {
    (void)unused;
    double spoken = 0;
    while (!life.leaving) {
        if (life.connected) listen_to_lines();
        else usleep(1000 * POLL_MS);
        take_termination();
        if (life.leaving) break; /* what happens from now on is the end of the launch */
        if (bench_seconds() - spoken > 1e-3 * POLL_MS) { /* not at each word of others, who would answer */
            say_to_all(KIND_BEAT, "");
            spoken = bench_seconds();
        }
        judge();
    }
    return NULL;
}

void lifeline_arrive(double limit, lifeline_verdict *verdict) {
    const struct sigaction note = {.sa_handler = note_termination, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &note, NULL);
    gethostname(life.host, sizeof life.host - 1);
    life.limit = limit;
    life.arriving_since = bench_seconds();
    life.verdict = verdict;
    if (pthread_create(&life.thread, NULL, live, NULL) != 0) die(EXIT_USAGE, "no thread for the lifeline");
}

static int open_listener(struct address_list *list) {
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t size = sizeof any;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, life.size) != 0 ||
        getsockname(listener, (struct sockaddr *)&any, &size) != 0) {
        if (listener >= 0) close(listener);
        return -1;
    }
    list->port = any.sin_port;
    struct ifaddrs *interfaces;
    if (getifaddrs(&interfaces) != 0) return listener;
    for (const struct ifaddrs *i = interfaces; i != NULL && list->count < ADDRESSES_MAX; i = i->ifa_next)
        if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_UP) &&
            !(i->ifa_flags & IFF_LOOPBACK))
            list->address[list->count++] = ((const struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr;
    freeifaddrs(interfaces);
    return listener;
}

static int connect_to(uint32_t address, uint16_t port) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = address};
    const struct timeval patience = {.tv_sec = 2};
    int line = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (line < 0) return -1;
    setsockopt(line, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* connect keeps to it too */
    if (connect(line, (struct sockaddr *)&peer, sizeof peer) == 0) return line;
    close(line);
    return -1;
}

/* Ranks of rank 0's node through the loopback, which needs no network; the others by whichever address answers. */
static int reach_first(const struct address_list *list, const char *host_of_first) {
    int line = strcmp(host_of_first, life.host) == 0 ? connect_to(htonl(INADDR_LOOPBACK), list->port) : -1;
    for (uint32_t i = 0; i < list->count && line < 0; i++) line = connect_to(list->address[i], list->port);
    return line;
}

static void allow_many_sockets(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

void lifeline_connect(void) {
    struct address_list list = {0};
    struct message first = {0};
    life.rank = rank_backend->rank();
    life.size = rank_backend->size();
    if (life.size > 1) {
        if (life.rank == 0) allow_many_sockets();
        int listener = life.rank == 0 ? open_listener(&list) : -1;
        if (life.rank == 0) first = message_of(KIND_BEAT, "");
        rank_backend->broadcast(&list, sizeof list);
        rank_backend->broadcast(&first, sizeof first);
        struct line *lines = calloc(life.rank == 0 ? (size_t)life.size : 1, sizeof *lines);
        if (lines == NULL) die(EXIT_USAGE, "no memory for the lifeline");
        for (int i = 0; i < (life.rank == 0 ? life.size : 1); i++) lines[i] = (struct line){.socket = -1};
        if (life.rank != 0 && list.port != 0) {
            lines[0] = (struct line){.socket = reach_first(&list, first.host), .heard = bench_seconds(), .last = first};
            if (lines[0].socket < 0) lines[0].last.kind = 0; /* not reached: nothing is known of it, and nothing said */
            say(&lines[0], KIND_BEAT, "");
        }
        life.listener = listener;
        life.lines = lines;
    }
    life.connected = true;
}

void lifeline_watch(struct shared *shared, double limit, lifeline_verdict *verdict) {
    life.limit = limit;
    life.verdict = verdict;
    life.shared = shared;
}

void lifeline_fail(const char *reason) {
    if (life.rank == 0 || line_count() == 0 || life.lines[0].socket < 0) {
        say_to_all(KIND_LEAVES, "");
        abort_launch();
    }
    say(&life.lines[0], KIND_FAILED, reason);
    sleep(LIFE_LIMIT); /* rank 0 writes the row and ends us */
    abort_launch();
}

void lifeline_leave(void) {
    if (life.leaving || life.verdict == NULL) return;
    life.leaving = true;
    say_to_all(KIND_LEAVES, "");
}

/* Rank 0 has told the reason itself. Another rank's would be lost, and rank 0 left waiting. */
void lifeline_die(const char *reason) {
    if (life.rank > 0 && life.shared != NULL && !life.leaving && !pthread_equal(pthread_self(), life.thread))
        lifeline_fail(reason);
    lifeline_leave();
}

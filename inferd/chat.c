#include "inferd/chat.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

#define PROMPT "> "
#define DIM "\033[2m"
#define PLAIN "\033[0m"
#define AGENT_NAME "chat"

/* One turn's text, which the messages point into. */
struct turn {
	char *said;
	struct turn *next;
};

struct talk {
	struct ev *ev;
	struct backend backend;
	struct agents *agents;
	struct agent *agent;
	struct chat_message *messages;
	size_t n, cap;
	struct turn *turns;
	bool tty, thinking, reading, over;
	struct buf said; /* of the answer */
	struct gen_params params;
};

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int signo)
{
	(void)signo;
	interrupted = 1;
}

/* ---- the conversation ---------------------------------------------------- */

static void
remember(struct talk *t, enum chat_role role, const char *text, size_t n)
{
	struct turn *turn = xcalloc(1, sizeof(*turn));

	turn->said = xstrndup(text, n);
	turn->next = t->turns;
	t->turns = turn;
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 16 : t->cap * 2;
		t->messages =
		    xreallocarray(t->messages, t->cap, sizeof(*t->messages));
	}
	t->messages[t->n++] = (struct chat_message){ .role = role,
		.text = { turn->said, strlen(turn->said) } };
}

static void
forget(struct talk *t)
{
	while (t->turns != NULL) {
		struct turn *turn = t->turns;

		t->turns = turn->next;
		free(turn->said);
		free(turn);
	}
	t->n = 0;
}

/* ---- what the model says --------------------------------------------------
 */

/* Text of a model moves no cursor and sets no title. */
static void
show(const char *p, size_t n)
{
	while (n > 0) {
		size_t k = 0;
		char *safe;

		while (k < n && p[k] != '\n' && p[k] != '\t')
			k++;
		safe = str_escape_again(p, k);
		fputs(safe, stdout);
		free(safe);
		if (k < n)
			putchar(p[k++]);
		p += k;
		n -= k;
	}
	fflush(stdout);
}

static void
style(struct talk *t, bool thinking)
{
	if (t->thinking == thinking)
		return;
	t->thinking = thinking;
	if (t->tty)
		fputs(thinking ? DIM : PLAIN, stdout);
	if (!thinking)
		putchar('\n');
}

static void
progress(struct talk *t, const struct gen_event *e)
{
	if (e->all == 0)
		return;
	t->reading = true;
	backend_bar("reading", e->done, e->all);
}

static const char *
ending(enum gen_finish finish)
{
	switch (finish) {
	case GEN_LENGTH:
		return " [the context is full: /clear begins anew]";
	case GEN_CANCELLED:
		return " [stopped]";
	case GEN_BUDGET:
	case GEN_DEADLINE:
		return " [a limit was reached]";
	case GEN_LOOP:
		return " [it goes round in circles]";
	case GEN_GOING:
	case GEN_STOP:
	case GEN_STOP_TEXT:
	case GEN_CALLS:
		break;
	}
	return "";
}

static void
on_event(const struct gen_event *e, void *arg)
{
	struct talk *t = arg;

	if (e->type == GEN_PROGRESS) {
		progress(t, e);
		return;
	}
	if (t->reading)
		backend_bar_end();
	t->reading = false;
	switch (e->type) {
	case GEN_THINKING:
		style(t, true);
		show(e->p, e->n);
		break;
	case GEN_TEXT:
		style(t, false);
		show(e->p, e->n);
		buf_put(&t->said, e->p, e->n);
		break;
	case GEN_END:
		style(t, false);
		puts(ending(e->finish));
		t->over = true;
		break;
	case GEN_PROGRESS:
	case GEN_CALL_BEGIN:
	case GEN_CALL_ARGS:
	case GEN_CALL_END:
		break;
	}
}

/* ---- asking ---------------------------------------------------------------
 */

static int
make_prompt(struct talk *t, struct tok_ids *ids, struct error *err)
{
	struct chat chat = { .messages = t->messages, .nmessages = t->n };
	cleanup_prompt struct prompt p = { 0 };
	time_t now = time(NULL);
	struct tm tm;
	char date[11] = "";

	if (localtime_r(&now, &tm) != NULL)
		(void)strftime(date, sizeof(date), "%Y-%m-%d", &tm);
	chat.date = date;
	if (template_render(t->backend.family, &chat, &p, err) < 0)
		return -1;
	if (prompt_encode(&p, t->backend.tok, ids) < 0 || ids->n == 0)
		return error_set(err, 0, "this cannot be read as tokens");
	t->params.thinking = p.thinking;
	return 0;
}

static struct gen *
submit(struct talk *t, struct error *err)
{
	cleanup_tok_ids struct tok_ids ids = { 0 };
	struct gen_request g = {
		.agent = t->agent, .interactive = true, .fn = on_event, .arg = t
	};
	enum engine_refusal why;
	uint32_t retry_s;

	t->params.family = t->backend.family;
	t->params.chat = true;
	t->params.sample.temperature = 1;
	t->params.sample.top_p = 1;
	t->params.max_tokens = UINT32_MAX;
	if (getrandom(
		&t->params.sample.seed, sizeof(t->params.sample.seed), 0) < 0 ||
	    getrandom(g.ids, sizeof(g.ids), 0) < 0)
		fatal("getrandom");
	if (make_prompt(t, &ids, err) < 0)
		return NULL;
	g.params = t->params;
	g.prompt = ids.id;
	g.n = (uint32_t)ids.n;
	memset(&ids, 0, sizeof(ids));
	return engine_submit(t->backend.engine, &g, &why, &retry_s, err);
}

static void
answer(struct talk *t, const char *line, size_t n)
{
	struct error err = { 0 };
	struct gen *g;

	remember(t, CHAT_USER, line, n);
	buf_clear(&t->said);
	t->over = t->thinking = t->reading = false;
	interrupted = 0;
	g = submit(t, &err);
	if (g == NULL) {
		fprintf(stderr, "inferd: %s\n", err.msg);
		t->n--;
		return;
	}
	while (!t->over) {
		ev_once(t->ev, -1);
		if (interrupted && !t->over)
			engine_cancel(t->backend.engine, g);
		interrupted = 0;
	}
	remember(t, CHAT_ASSISTANT, (const char *)buf_head(&t->said),
	    buf_len(&t->said));
}

/* False: no more. */
static bool
read_line(struct talk *t, char **line, size_t *cap, size_t *n)
{
	ssize_t got;

	do {
		if (t->tty) {
			fputs(PROMPT, stdout);
			fflush(stdout);
		}
		interrupted = 0;
		errno = 0;
		got = getline(line, cap, stdin);
		/* ^C is for answers; it takes back what was being typed. */
		if (got < 0 && errno == EINTR) {
			clearerr(stdin);
			putchar('\n');
		}
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return false;
	*n = (size_t)got;
	while (*n > 0 && ((*line)[*n - 1] == '\n' || (*line)[*n - 1] == '\r'))
		(*n)--;
	(*line)[*n] = '\0';
	return true;
}

static void
converse(struct talk *t)
{
	char *line = NULL;
	size_t cap = 0, n;

	while (read_line(t, &line, &cap, &n)) {
		if (strcmp(line, "/quit") == 0)
			break;
		if (strcmp(line, "/clear") == 0)
			forget(t);
		else if (n > 0)
			answer(t, line, n);
	}
	if (t->tty)
		putchar('\n');
	free(line);
}

int
chat(const struct serve_opts *o)
{
	struct talk t = { .tty =
			      isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) };
	const struct agent_budget none = { 0 };
	const struct sigaction sa = { .sa_handler = on_interrupt };
	struct error err = { 0 };
	int rc;

	log_init("inferd", LOG_LEVEL_WARN);
	buf_init(&t.said, 0);
	t.ev = ev_new();
	rc = backend_open(&t.backend, &o->backend, t.ev, &err);
	if (rc < 0) {
		fprintf(stderr, "inferd: %s\n", err.msg);
	} else {
		t.agents = agents_new(&none);
		t.agent = agents_find(t.agents, AGENT_NAME);
		if (t.tty) {
			/* Without SA_RESTART: what waits is to look up. */
			(void)sigaction(SIGINT, &sa, NULL);
			printf("^C ends an answer, /clear begins anew, /quit "
			       "or ^D ends.\n");
		}
		converse(&t);
	}
	backend_close(&t.backend);
	agents_free(t.agents);
	forget(&t);
	free(t.messages);
	buf_free(&t.said);
	ev_once(t.ev, 0);
	ev_free(t.ev);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

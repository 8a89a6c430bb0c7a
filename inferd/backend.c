#include "inferd/backend.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define BAR_WIDTH 40
#define MEMORY_PART 4 /* of the machine's, for keys and values */
#define KV_MIN (64ull << 20)

void
backend_bar(const char *what, uint64_t done, uint64_t all)
{
	static const char full[] = "########################################";
	int part, percent;

	if (!isatty(STDERR_FILENO) || all == 0)
		return;
	done = done < all ? done : all;
	part = (int)((double)done / (double)all * BAR_WIDTH);
	percent = (int)((double)done / (double)all * 100);
	fprintf(stderr, "\r%s [%-*.*s] %3d %%", what, BAR_WIDTH, part, full,
	    percent);
	fflush(stderr);
}

void
backend_bar_end(void)
{
	if (!isatty(STDERR_FILENO))
		return;
	/* Back to where the line began, and away with it. */
	fputs("\r\033[K", stderr);
	fflush(stderr);
}

static void
on_progress(uint64_t done, uint64_t all, void *arg)
{
	(void)arg;
	backend_bar("loading", done, all);
}

static uint64_t
kv_default(void)
{
	const long pages = sysconf(_SC_PHYS_PAGES),
		   size = sysconf(_SC_PAGESIZE);
	uint64_t n;

	if (pages <= 0 || size <= 0)
		return KV_MIN;
	n = (uint64_t)pages * (uint64_t)size / MEMORY_PART;
	return n < KV_MIN ? KV_MIN : n;
}

/* Of a template that is not the model's no turn ends, and no text is what the
 * model has learnt. */
static void
look_at_template(const struct backend *b)
{
	const char *end = template_stop(b->family, 0);

	if (b->family != CHAT_PLAIN && tok_find_special(b->tok, end) < 0)
		log_warnx("the vocabulary has no token %s, which ends a turn "
			  "in the template %s: conversations will not make "
			  "sense",
		    end, template_name(b->family));
}

int
backend_open(struct backend *b, const struct backend_opts *o, struct ev *ev,
    struct error *err)
{
	struct model_opts open = o->open;
	struct engine_opts engine = o->engine;
	const struct model_table *t;

	memset(b, 0, sizeof(*b));
	open.progress = on_progress;
	b->model = model_open(o->model, &open, err);
	if (b->model != NULL && o->draft != NULL)
		b->draft = model_open(o->draft, &open, err);
	backend_bar_end();
	if (b->model == NULL || (o->draft != NULL && b->draft == NULL))
		return -1;
	t = model_table(b->model);
	/* The smaller one may never be asked. */
	if (!model_is_sealed(b->model))
		b->warm = warm_model(b->model);
	b->family = o->family;
	if (b->family == CHAT_NONE)
		b->family =
		    template_choose(t->hp.arch, t->template_sha256, err);
	if (b->family == CHAT_NONE)
		return -1;
	b->tok = tok_new(&t->vocab, err);
	if (b->tok == NULL)
		return -1;
	look_at_template(b);
	if (model_is_sealed(b->model) && !model_is_locked(b->model))
		log_warnx("the model is sealed, but the host does not let it "
			  "be locked into memory (RLIMIT_MEMLOCK)");
	b->steers = steers_new(&t->hp);
	for (size_t i = 0; i < o->nsteer; i++)
		if (steers_add(b->steers, o->steer[i], err) < 0)
			return -1;
	engine.steers = b->steers;
	engine.draft = b->draft;
	if (engine.kv_budget == 0)
		engine.kv_budget = kv_default();
	b->engine = engine_new(ev, b->model, b->tok, &engine, err);
	return b->engine == NULL ? -1 : 0;
}

void
backend_close(struct backend *b)
{
	engine_free(b->engine);
	steers_free(b->steers);
	tok_free(b->tok);
	warm_free(b->warm);
	model_close(b->draft);
	model_close(b->model);
	memset(b, 0, sizeof(*b));
}

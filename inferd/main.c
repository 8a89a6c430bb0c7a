/*
 * inferd: serves quantised Mixture-of-Experts models to agents.
 */
#include <stdlib.h>

#include "inferd/again.h"
#include "inferd/chat.h"
#include "inferd/check.h"
#include "inferd/options.h"
#include "inferd/perplexity.h"
#include "inferd/serve.h"
#include "inferd/speed.h"
#include "inferd/speed_draft.h"
#include "inferd/tokenize.h"

int
main(int argc, char **argv)
{
	struct options o;
	struct backend_opts *b = &o.serve.backend;
	const struct engine_opts *e = &b->engine;

	options_read(&o, argc, argv);
	switch (o.mode) {
	case MODE_CHECK:
		b->open.scan = true;
		return check_model(b->model, b->draft, &b->open, o.json);
	case MODE_BENCH:
		if (speed_print(b->model, &b->open, &o.speed, e->threads,
			o.json) != EXIT_SUCCESS)
			return EXIT_FAILURE;
		return b->draft == NULL
			   ? EXIT_SUCCESS
			   : speed_draft_print(b, &o.speed, o.json);
	case MODE_PERPLEXITY:
		return perplexity_print(
		    b->model, &b->open, o.text, e->context, e->threads, o.json);
	case MODE_TOKENIZE:
		return tokenize_print(b->model, &b->open, o.json);
	case MODE_REPLAY:
		return again(b, o.text, o.id);
	case MODE_CHAT:
		return chat(&o.serve);
	case MODE_SERVE:
		return serve(&o.serve);
	case MODE_NONE:
		break;
	}
	return EXIT_FAILURE;
}

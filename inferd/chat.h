/*
 * inferd --chat: a conversation with a model in a terminal.
 */
#ifndef BRIG_INFERD_CHAT_H
#define BRIG_INFERD_CHAT_H

#include "inferd/serve.h"

/*
 * Lines of standard input are said to the model, answers go to standard output
 * as they are made; ^C ends an answer.  The exit status.
 */
int chat(const struct serve_opts *o);

#endif

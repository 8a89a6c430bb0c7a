/*
 * The control tokens of DeepSeek's templates, whose bars and gaps are not
 * those of ASCII.
 */
#ifndef BRIG_INFERD_DEEPSEEK_MARKS_H
#define BRIG_INFERD_DEEPSEEK_MARKS_H

#define DEEPSEEK_BAR "\xef\xbd\x9c" /* U+FF5C */
#define DEEPSEEK_GAP "\xe2\x96\x81" /* U+2581 */
#define DEEPSEEK_MARK(words) "<" DEEPSEEK_BAR words DEEPSEEK_BAR ">"

#define DEEPSEEK_BEGIN                                                         \
	DEEPSEEK_MARK("begin" DEEPSEEK_GAP "of" DEEPSEEK_GAP "sentence")
#define DEEPSEEK_END                                                           \
	DEEPSEEK_MARK("end" DEEPSEEK_GAP "of" DEEPSEEK_GAP "sentence")
#define DEEPSEEK_USER DEEPSEEK_MARK("User")
#define DEEPSEEK_ASSISTANT DEEPSEEK_MARK("Assistant")
#define DEEPSEEK_CALLS                                                         \
	DEEPSEEK_MARK("tool" DEEPSEEK_GAP "calls" DEEPSEEK_GAP "begin")
#define DEEPSEEK_CALLS_END                                                     \
	DEEPSEEK_MARK("tool" DEEPSEEK_GAP "calls" DEEPSEEK_GAP "end")
#define DEEPSEEK_CALL                                                          \
	DEEPSEEK_MARK("tool" DEEPSEEK_GAP "call" DEEPSEEK_GAP "begin")
#define DEEPSEEK_CALL_END                                                      \
	DEEPSEEK_MARK("tool" DEEPSEEK_GAP "call" DEEPSEEK_GAP "end")
#define DEEPSEEK_ARGS DEEPSEEK_MARK("tool" DEEPSEEK_GAP "sep")
#define DEEPSEEK_RESULT                                                        \
	DEEPSEEK_MARK("tool" DEEPSEEK_GAP "output" DEEPSEEK_GAP "begin")
#define DEEPSEEK_RESULT_END                                                    \
	DEEPSEEK_MARK("tool" DEEPSEEK_GAP "output" DEEPSEEK_GAP "end")

#endif

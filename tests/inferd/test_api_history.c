/*
 * Conversations in each protocol, as real agents send them, and histories
 * that make no sense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/inferd/api_run.h"

#define CHAT(messages) "{'messages':[" messages "]}"
#define MESSAGES "'messages':[" U "]"
#define U "{'role':'user','content':'hi'}"
#define CALL(id)                                                               \
	"{'id':'" id "','type':'function','function':{'name':'f',"             \
	"'arguments':'{\\\"a\\\":1}'}}"

static void
chat_content_is_a_string_or_parts(void **state)
{
	assert_api(API_CHAT,
	    CHAT("{'role':'system','content':'s'},"
		 "{'role':'developer','content':[{'type':'text','text':'d'}]},"
		 "{'role':'user','content':[{'type':'text','text':'a'},"
		 "{'type':'text','text':'b'}]},"
		 "{'role':'assistant','content':'x'},"
		 "{'role':'system','content':'later'}"),
	    "S:s\n\nd | U:a\nb | A:x | S:later");
}

static void
chat_calls_thoughts_and_results_are_kept(void **state)
{
	assert_api(API_CHAT,
	    CHAT(U
		",{'role':'assistant','content':null,'reasoning_content':"
		"'hm','tool_calls':[" CALL("c1") "," CALL(
		    "c2") "]},"
			  "{'role':'tool','tool_call_id':'c2','content':'two'},"
			  "{'role':'tool','tool_call_id':'c1','content':"
			  "[{'type':'text','text':'one'}]}," U),
	    "U:hi | A:?hm (c1 f {\"a\":1})(c2 f {\"a\":1}) | T:<c2 two | "
	    "T:<c1 one | U:hi");
}

static void
arguments_that_are_no_json_are_kept(void **state)
{
	assert_api(API_CHAT,
	    CHAT(U ",{'role':'assistant','tool_calls':[{'id':'c','function':"
		   "{'name':'f','arguments':'{oops'}},{'id':'d','function':"
		   "{'name':'f','arguments':''}},{'id':'e','function':"
		   "{'name':'f','arguments':{'b': 2}}},{'id':'g','function':"
		   "{'name':'f'}}]}"),
	    "U:hi | A:(c f {oops)(d f {})(e f {\"b\": 2})(g f {})");
}

static void
an_empty_answer_may_come_back(void **state)
{
	assert_api(API_CHAT,
	    CHAT(U ",{'role':'assistant','content':''},"
		   "{'role':'assistant'},{'role':'assistant',"
		   "'content':null,'refusal':'no','tool_calls':[]}," U),
	    "U:hi | A: | A: | A:no | U:hi");
	assert_api(API_MESSAGES,
	    CHAT(U ",{'role':'assistant','content':[]}," U),
	    "U:hi | A: | U:hi");
}

static void
histories_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		enum api_kind kind;
		const char *json, *want;
	} cases[] = {
		{ API_CHAT,
		    CHAT("{'role':'tool','tool_call_id':'c','content':'r'}"),
		    "400 messages[0].tool_call_id: no message before it holds "
		    "a call 'c'" },
		{ API_CHAT, CHAT(U ",{'role':'tool','content':'r'}"),
		    "400 messages[1].tool_call_id: there is no id of the call "
		    "that it answers" },
		{ API_CHAT, CHAT("{'role':'pope','content':'x'}"),
		    "400 messages[0].role: 'pope' is none of system, "
		    "developer, user, assistant, tool" },
		{ API_CHAT, CHAT("{'content':'x'}"),
		    "400 messages[0].role: there is no role" },
		{ API_CHAT, CHAT("{'role':'user'}"),
		    "400 messages[0].content: there is no content" },
		{ API_CHAT, CHAT("{'role':'user','content':null}"),
		    "400 messages[0].content: there is no content" },
		{ API_CHAT, CHAT("{'role':'user','content':5}"),
		    "400 messages[0].content: content must be a string or an "
		    "array of parts" },
		{ API_CHAT,
		    CHAT("{'role':'user','content':[{'type':'text','text':'a'}"
			 ",{'type':'image_url','image_url':{'url':'x'}}]}"),
		    "400 messages[0].content[1].type: images are not "
		    "supported: the model reads text only" },
		{ API_CHAT,
		    CHAT("{'role':'user','content':[{'type':'input_audio'}]}"),
		    "400 messages[0].content[0].type: audio and video are not "
		    "supported: the model reads text only" },
		{ API_CHAT, CHAT("{'role':'user','content':[{'type':'file'}]}"),
		    "400 messages[0].content[0].type: files are not "
		    "supported: send their text" },
		{ API_CHAT,
		    CHAT("{'role':'user','content':[{'type':'smell'}]}"),
		    "400 messages[0].content[0].type: 'smell' is no type of "
		    "part that is known here" },
		{ API_CHAT, CHAT("{'role':'user','content':['x']}"),
		    "400 messages[0].content[0]: a part of a message must be "
		    "an object" },
		{ API_CHAT,
		    CHAT("{'role':'assistant','tool_calls':[{'id':'c'}]}"),
		    "400 messages[0].tool_calls[0].function: there is no "
		    "function" },
		{ API_CHAT,
		    CHAT("{'role':'assistant','tool_calls':[{'id':'c',"
			 "'function':{'name':''}}]}"),
		    "400 messages[0].tool_calls[0].function.name: the name of "
		    "a call has between 1 and 128 bytes" },
		{ API_MESSAGES, CHAT(""),
		    "400 messages: there are no messages" },
		{ API_MESSAGES, "{'system':'s'}",
		    "400 messages: there are no messages" },
		{ API_MESSAGES,
		    CHAT("{'role':'user','content':[{'type':'tool_result',"
			 "'tool_use_id':'t','content':'r'}]}"),
		    "400 messages[0].content[0].tool_use_id: no message "
		    "before it holds a call 't'" },
		{ API_MESSAGES,
		    CHAT("{'role':'user','content':[{'type':'image','source':"
			 "{}}]}"),
		    "400 messages[0].content[0].type: images are not "
		    "supported: the model reads text only" },
		{ API_MESSAGES,
		    CHAT("{'role':'user','content':[{'type':'document',"
			 "'source':{'type':'base64'}}]}"),
		    "400 messages[0].content[0].source: documents are not "
		    "supported but as text" },
		{ API_MESSAGES, CHAT("{'role':'tool','content':'x'}"),
		    "400 messages[0].role: 'tool' is none of system, user, "
		    "assistant" },
		{ API_MESSAGES, "{'thread':{'type':'create'}," MESSAGES "}",
		    "400 thread: conversations are not held here: send all "
		    "messages" },
		{ API_MESSAGES, "{'system':7," MESSAGES "}",
		    "400 system: system must be a string or an array of "
		    "parts" },
		{ API_MESSAGES, "{'system':[{'type':'image'}]," MESSAGES "}",
		    "400 system[0].type: images are not supported: the model "
		    "reads text only" },
		{ API_MESSAGES,
		    CHAT(U ",{'role':'assistant','content':[{'type':"
			   "'tool_use','id':'t','name':'f'}]},{'role':'user',"
			   "'content':[{'type':'tool_result','tool_use_id':'t'"
			   "},{'type':'image'}]}"),
		    "400 messages[2].content[1].type: images are not "
		    "supported: the model reads text only" },
		{ API_RESPONSES, "{'input':[{'role':'tool','content':'x'}]}",
		    "400 input[0].role: 'tool' is none of system, developer, "
		    "user, assistant" },
		{ API_RESPONSES, "{}", "400 input: there is no input" },
		{ API_RESPONSES, "{'input':[]}",
		    "400 input: there are no items" },
		{ API_RESPONSES, "{'input':7}",
		    "400 input: input must be a string or an array of items" },
		{ API_RESPONSES,
		    "{'input':[{'type':'item_reference','id':'x'}]}",
		    "400 input[0].type: references to items are not "
		    "supported: nothing is stored here; send the item "
		    "itself" },
		{ API_RESPONSES, "{'input':[{'type':'dream'}]}",
		    "400 input[0].type: 'dream' is no type of item that is "
		    "known here" },
		{ API_RESPONSES,
		    "{'input':[{'type':'function_call_output','call_id':'c',"
		    "'output':'r'}]}",
		    "400 input[0].call_id: no message before it holds a call "
		    "'c'" },
		{ API_RESPONSES, "{'input':'x','previous_response_id':'r'}",
		    "400 previous_response_id: previous_response_id is not "
		    "supported: nothing is stored here; send the whole "
		    "input" },
		{ API_RESPONSES, "{'input':'x','background':true}",
		    "400 background: answers in the background are not "
		    "supported" },
		{ API_RESPONSES,
		    "{'input':[{'type':'reasoning','id':'rs','summary':[],"
		    "'encrypted_content':'x'}]}",
		    "400 input: there are no messages" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_api(cases[i].kind, cases[i].json, cases[i].want);
}

static void
messages_take_results_out_of_what_a_user_says(void **state)
{
	assert_api(API_MESSAGES,
	    "{'system':[{'type':'text','text':'one','cache_control':"
	    "{'type':'ephemeral'}},{'type':'text','text':'two'}],"
	    "'messages':[" U ",{'role':'assistant','content':["
	    "{'type':'thinking','thinking':'hm','signature':'s'},"
	    "{'type':'redacted_thinking','data':'x'},"
	    "{'type':'text','text':'ok'},"
	    "{'type':'tool_use','id':'t1','name':'f','input':{'a':1}},"
	    "{'type':'tool_use','id':'t2','name':'g','input':{}}]},"
	    "{'role':'user','content':["
	    "{'type':'tool_result','tool_use_id':'t1','content':'one'},"
	    "{'type':'tool_result','tool_use_id':'t2','is_error':true,"
	    "'content':[{'type':'text','text':'x'},{'type':'text','text':'y'},"
	    "{'type':'tool_reference','tool_name':'z'}]},"
	    "{'type':'text','text':'and'},{'type':'text','text':'more'}]}]}",
	    "S:one\ntwo | U:hi | A:?hm ok(t1 f {\"a\":1})(t2 g {}) | "
	    "T:<t1 one | T:<t2 x\ny\nz | U:and\nmore");
	assert_api(API_MESSAGES,
	    CHAT(U ",{'role':'assistant','content':[{'type':'tool_use','id':"
		   "'t','name':'f'}]},{'role':'user','content':["
		   "{'type':'tool_result','tool_use_id':'t'}]}"),
	    "U:hi | A:(t f {}) | T:<t ");
	assert_api(API_COUNT_TOKENS, "{'system':'s','messages':[" U "]}",
	    "S:s | U:hi");
	assert_api(API_MESSAGES,
	    CHAT(U ",{'role':'system','content':'now'},"
		   "{'role':'user','content':[{'type':'document','title':'t',"
		   "'source':{'type':'text','data':'words'}}]}"),
	    "U:hi | S:now | U:t\nwords");
}

static void
results_that_are_no_text_leave_a_word(void **state)
{
	assert_api(API_MESSAGES,
	    CHAT(U ",{'role':'assistant','content':[{'type':'tool_use','id':"
		   "'t','name':'f'}]},{'role':'user','content':["
		   "{'type':'tool_result','tool_use_id':'t','content':["
		   "{'type':'text','text':'read'},{'type':'image','source':{}}]"
		   "}]}"),
	    "U:hi | A:(t f {}) | T:<t read\n"
	    "[An image, which cannot be shown: text only.]");
	assert_api(API_RESPONSES,
	    "{'input':[{'type':'function_call','call_id':'c','name':'f'},"
	    "{'type':'function_call_output','call_id':'c','output':["
	    "{'type':'input_image'},{'type':'input_file'}]}]}",
	    "A:(c f {}) | T:<c [An image, which cannot be shown: text only.]\n"
	    "[A file, which cannot be shown: text only.]");
	assert_api(API_CHAT,
	    CHAT(U ",{'role':'assistant','tool_calls':[{'id':'t','type':"
		   "'function','function':{'name':'f','arguments':'{}'}}]},"
		   "{'role':'tool','tool_call_id':'t','content':["
		   "{'type':'input_audio'}]}"),
	    "U:hi | A:(t f {}) | T:<t "
	    "[Sound or video, which cannot be told: text only.]");
}

static void
responses_join_what_an_assistant_did_in_a_turn(void **state)
{
	assert_api(API_RESPONSES, "{'input':'hi'}", "U:hi");
	assert_api(API_RESPONSES,
	    "{'instructions':'be','input':["
	    "{'type':'message','role':'developer','content':["
	    "{'type':'input_text','text':'dev'}]},"
	    "{'role':'user','content':'hi'},"
	    "{'type':'reasoning','id':'rs','summary':[{'type':'summary_text',"
	    "'text':'sum'}],'content':[{'type':'reasoning_text','text':'hm'}],"
	    "'encrypted_content':null},"
	    "{'type':'message','role':'assistant','content':["
	    "{'type':'output_text','text':'ok','annotations':[]}]},"
	    "{'type':'function_call','call_id':'c1','name':'f','arguments':"
	    "'{}'},"
	    "{'type':'function_call','call_id':'c2','name':'read','namespace':"
	    "'mcp__fs','arguments':''},"
	    "{'type':'custom_tool_call','call_id':'c3','name':'p','input':"
	    "'a\\n'},"
	    "{'type':'function_call_output','call_id':'c1','output':'one'},"
	    "{'type':'function_call_output','call_id':'c2','output':["
	    "{'type':'input_text','text':'two'}]},"
	    "{'type':'custom_tool_call_output','call_id':'c3','output':'3'},"
	    "{'type':'reasoning','summary':[{'type':'summary_text','text':"
	    "'sum'}]},{'type':'message','role':'assistant','content':"
	    "[{'type':'refusal','refusal':'no'}]}]}",
	    "S:be\n\ndev | U:hi | A:?hm ok(c1 f {})(c2 mcp__fs__read {})"
	    "(c3 p {\"input\": \"a\\n\"}) | T:<c1 one | T:<c2 two | T:<c3 3 | "
	    "A:?sum no");
}

/* -- What agents send: the shapes and fields that were seen -- */

static void
claude_code_is_understood(void **state)
{
	struct api_request q;

	api_run_request(API_MESSAGES,
	    "{'model':'claude-x','messages':[{'role':'user','content':["
	    "{'type':'text','text':'<system-reminder>r</system-reminder>'},"
	    "{'type':'text','text':'Write hello.txt','cache_control':"
	    "{'type':'ephemeral'}}]}],'system':[{'type':'text','text':"
	    "'x-anthropic-billing-header: cc_version=2; cch=0;'},"
	    "{'type':'text','text':'You are','cache_control':{'type':"
	    "'ephemeral'}}],'tools':[{'name':'Bash','description':'d',"
	    "'input_schema':{'$schema':'s','type':'object','properties':{},"
	    "'additionalProperties':false}}],'metadata':{'user_id':'u'},"
	    "'max_tokens':64000,'thinking':{'type':'adaptive'},"
	    "'context_management':{'edits':[{'type':"
	    "'clear_thinking_20251015','keep':'all'}]},"
	    "'output_config':{'effort':'medium'},'stream':true}",
	    &q);
	assert_true(q.stream && q.max_tokens == 64000);
	assert_int_equal(q.chat.nmessages, 2);
	assert_int_equal(q.chat.ntools, 1);
	assert_int_equal(q.tool_choice, TOOLS_AUTO);
	assert_false(q.chat.no_thinking);
	assert_string_equal(q.chat.effort, "medium");
	api_request_free(&q);
	/* Its question for a title. */
	api_run_request(API_MESSAGES,
	    "{'model':'claude-x','messages':[{'role':'user','content':'t'}],"
	    "'system':[{'type':'text','text':'title'}],'tools':[],"
	    "'max_tokens':64000,'thinking':{'type':'disabled'},"
	    "'temperature':1,'output_config':{'format':{'type':'json_schema',"
	    "'schema':{'type':'object','properties':{'title':{'type':"
	    "'string'}},'required':['title']}}},'stream':true}",
	    &q);
	assert_true(q.chat.no_thinking && q.schema.n > 0);
	assert_int_equal(q.tool_choice, TOOLS_NONE);
	api_request_free(&q);
}

static void
pi_and_opencode_are_understood(void **state)
{
	struct api_request q;

	api_run_request(API_CHAT,
	    "{'model':'mock-model','messages':[{'role':'system','content':'s'}"
	    ",{'role':'user','content':[{'type':'text','text':'u'}]},"
	    "{'role':'assistant','content':null,'tool_calls':[" CALL(
		"call_1") "]},{'role':'tool','content':'ok','tool_call_id':'"
			  "call_1'}],"
			  "'stream':true,'stream_options':{'include_usage':"
			  "true},'store':"
			  "false,'max_completion_tokens':4096,'tools':[{'type':"
			  "'function',"
			  "'function':{'name':'bash','description':'d','"
			  "parameters':{'type':"
			  "'object','required':['command'],'properties':{'"
			  "command':{'type':"
			  "'string'}}},'strict':false}}]}",
	    &q);
	assert_true(q.stream && q.stream_usage && !q.strict_tools);
	assert_int_equal(q.chat.nmessages, 4);
	assert_int_equal(q.max_tokens, 4096);
	api_request_free(&q);
	api_run_request(API_CHAT,
	    "{'model':'mock-model','max_tokens':32000,'messages':[" U "],"
	    "'tools':[{'type':'function','function':{'name':'bash',"
	    "'parameters':{}}}],'tool_choice':'auto','stream':true,"
	    "'stream_options':{'include_usage':true}}",
	    &q);
	assert_int_equal(q.tool_choice, TOOLS_AUTO);
	assert_int_equal(q.max_tokens, 32000);
	api_request_free(&q);
}

static void
codex_is_understood(void **state)
{
	struct api_request q;

	api_run_request(API_RESPONSES,
	    "{'model':'mock-model','instructions':'You are','input':["
	    "{'type':'message','role':'developer','content':[{'type':"
	    "'input_text','text':'perm'}]},{'type':'message','role':'user',"
	    "'content':[{'type':'input_text','text':'env'}]},{'type':"
	    "'message','role':'user','content':[{'type':'input_text','text':"
	    "'Write'}]},{'type':'function_call','name':'exec_command',"
	    "'arguments':'{\\\"cmd\\\":\\\"ls\\\"}','call_id':'call_1'},"
	    "{'type':'function_call_output','call_id':'call_1','output':"
	    "'ok'}],'tools':[{'type':'function','name':'exec_command',"
	    "'description':'d','strict':false,'parameters':{'type':'object'}},"
	    "{'type':'custom','name':'apply_patch','description':'d','format':"
	    "{'type':'grammar','syntax':'lark','definition':'start: x'}},"
	    "{'type':'namespace','name':'multi_agent','tools':[{'type':"
	    "'function','name':'spawn','parameters':{}}]},"
	    "{'type':'web_search','external_web_access':false}],"
	    "'tool_choice':'auto','parallel_tool_calls':false,'reasoning':"
	    "{'effort':'medium','summary':'auto'},'store':false,'stream':true,"
	    "'include':['reasoning.encrypted_content'],'prompt_cache_key':'k',"
	    "'text':{'verbosity':'low'},'client_metadata':{'x':'y'}}",
	    &q);
	assert_true(q.stream && q.one_call);
	assert_int_equal(q.chat.nmessages, 5);
	assert_int_equal(q.chat.ntools, 3);
	assert_string_equal(q.chat.effort, "medium");
	api_request_free(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chat_content_is_a_string_or_parts),
		cmocka_unit_test(chat_calls_thoughts_and_results_are_kept),
		cmocka_unit_test(arguments_that_are_no_json_are_kept),
		cmocka_unit_test(an_empty_answer_may_come_back),
		cmocka_unit_test(histories_that_make_no_sense_are_refused),
		cmocka_unit_test(messages_take_results_out_of_what_a_user_says),
		cmocka_unit_test(results_that_are_no_text_leave_a_word),
		cmocka_unit_test(
		    responses_join_what_an_assistant_did_in_a_turn),
		cmocka_unit_test(claude_code_is_understood),
		cmocka_unit_test(pi_and_opencode_are_understood),
		cmocka_unit_test(codex_is_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

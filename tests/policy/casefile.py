#!/usr/bin/python3
"""Run the cases of tests/policy/bypass and tests/policy/allowed.

usage: casefile.py policy DIR            print the policy of all cases
       casefile.py bypass|allowed DIR    run them; prints TAP

Environment: T (scratch folder of tests/lib.sh), BRIG_SOCKET, PATH with brig.
CASES="012 028a" runs only those files.  The format of a case file is in
tests/policy/README.md.
"""
import concurrent.futures
import glob
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import termios
import threading
import time

KEYS = {'rules', 'setup', 'run', 'control', 'harm', 'then', 'expect',
        'approve', 'needs', 'when', 'base', 'terminal', 'land', 'careless'}
JOB_S = 60 * int(os.environ.get('BRIG_PATIENCE', 1))
T = os.environ.get('T', '')


# ---- case files ------------------------------------------------------------

class Case:
    def __init__(self, number, title, fields):
        self.number, self.title = number, title
        self.__dict__.update(dict.fromkeys(KEYS, ''))
        self.__dict__.update(fields)

    def name(self):
        return ('%s %s' % (self.number, self.title)).replace('#', '\\#')

    def lines(self, key):
        return [s.strip() for s in getattr(self, key).splitlines()
                if s.strip()]


def parse(path):
    """Blocks of "key: value" and indented lines; "case: TITLE" begins one,
    what stands before the first holds for all."""
    number = os.path.basename(path).lstrip('0')
    shared, cases, fields, key = {}, [], None, None
    with open(path, encoding='utf-8', newline='\n') as f:
        for n, line in enumerate(f.read().split('\n'), 1):
            m = re.match(r'([a-z]+):[ ]?(.*)$', line)
            if line.startswith('#') or (not line and key is None):
                continue
            if m and m.group(1) == 'case':
                fields = dict(shared)
                cases.append((m.group(2), fields))
                key = None
            elif m and m.group(1) in KEYS:
                key = m.group(1)
                (shared if fields is None else fields)[key] = m.group(2)
            elif key and (line.startswith('    ') or not line):
                d = shared if fields is None else fields
                d[key] += ('\n' if d[key] else '') + line[4:]
            else:
                sys.exit('%s:%d: not understood: %s' % (path, n, line))
    out = []
    for i, (title, fields) in enumerate(cases):
        c = Case(number, title, fields)
        c.profile = 'c%s-%d' % (number, i)
        out.append(c)
    return out


def load(folder):
    only = os.environ.get('CASES', '').split()
    cases = []
    for path in sorted(glob.glob(os.path.join(folder, '*'))):
        base = os.path.basename(path)
        if base.endswith('.policy') or base.endswith('~'):
            continue
        if not only or base in only:
            cases += parse(path)
    return cases


def print_policy(folder):
    for c in load(folder):
        print('profile %s extends %s {' % (c.profile, c.base or 'P'))
        for line in c.lines('rules'):
            print('\t' + line)
        print('}')


# ---- the audit log ----------------------------------------------------------

class Log:
    """Records by job, read as they are written."""

    def __init__(self):
        self.lock = threading.Lock()
        self.jobs = {}
        self.at = {}

    def of(self, job):
        with self.lock:
            for path in sorted(glob.glob(T + '/log/*.jsonl')):
                with open(path, 'rb') as f:
                    f.seek(self.at.get(path, 0))
                    data = f.read()
                whole = data.rfind(b'\n') + 1
                self.at[path] = self.at.get(path, 0) + whole
                for line in data[:whole].splitlines():
                    r = json.loads(line)
                    self.jobs.setdefault(r.get('job'), []).append(r)
            return list(self.jobs.get(job, ()))

    def profile(self, job):
        return ''.join(rec['pol']['profile'] for rec in self.of(job)
                       if rec['code'] == 'JB101')


log = Log()


def brig(*args):
    return subprocess.run(('brig',) + args, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


class Result:
    status = None       # as a shell has it
    text = ''
    records = ()


class Failure(Exception):
    pass


class Screen:
    """A terminal that changes nothing, and what arrives at it."""

    def __init__(self):
        self.data, (self.master, self.slave) = b'', pty.openpty()
        attr = termios.tcgetattr(self.slave)
        attr[1] &= ~termios.OPOST
        termios.tcsetattr(self.slave, termios.TCSANOW, attr)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        try:
            while True:
                self.data += os.read(self.master, 65536)
        except OSError:
            pass

    def run(self, *args):
        return subprocess.Popen(('brig',) + args, stdin=subprocess.DEVNULL,
                                stdout=self.slave, stderr=self.slave)

    def close(self):
        os.close(self.slave)
        self.reader.join(5)
        os.close(self.master)
        return self.data.decode(errors='surrogateescape')


def watched(case, ws, answer):
    """What people see on their terminals while the job asks."""
    screen = Screen()
    run = screen.run('run', '--no-tty', '-p', case.profile, '-w', ws,
                     '--', 'bash', '-c', case.run)
    until = time.monotonic() + JOB_S
    asks = []
    while not asks and time.monotonic() < until:
        time.sleep(0.02)
        asks = [a for a in json.loads(brig('--json', 'asks').stdout)['asks']
                if log.profile(a['job']) == case.profile]
    if not asks:
        raise Failure('no ask')
    job = asks[0]['job']
    r = Result()
    for args in (('asks',), ('ps', '-a'), ('show', job)):
        screen.run(*args).wait()
    brig(answer, '-m', 'corpus', asks[0]['id'])
    r.status = run.wait(JOB_S)
    for args in (('asks', '-a'), ('audit', 'tail', '-n', '30'),
                 ('logs', job)):
        screen.run(*args).wait()
    r.text = screen.close()
    r.records = log.of(job)
    return r


def jailed(case, ws, profile, answer):
    """Run it as a job; asks get the answer, "approve" or "deny"."""
    r = Result()
    p = brig('submit', '-p', profile, '-w', ws, '--env', 'LANG=C.UTF-8', '--',
             'bash', '-c', case.run)
    job = p.stdout.decode(errors='replace').strip()
    if p.returncode != 0 or not re.fullmatch(r'j-\d+', job):
        raise Failure('brig submit: ' + job)
    seen, open_asks, until = 0, set(), time.monotonic() + JOB_S
    while r.status is None:
        records = log.of(job)
        for rec in records[seen:]:
            if rec['code'] == 'AS101':
                open_asks.add(rec['ask']['id'])
            elif rec['type'] == 'job.end':
                o = rec['obj']
                r.status = o.get('exit_code', 125)
                if o.get('exit_kind') == 'signal':
                    r.status += 128
        seen = len(records)
        # The record comes a moment before the ask can be answered.
        for ask in sorted(open_asks):
            if brig(answer, '-m', 'corpus', ask).returncode == 0:
                open_asks.remove(ask)
        if r.status is None:
            if time.monotonic() > until:
                brig('kill', '-s', 'KILL', job)
                raise Failure('job does not end')
            time.sleep(0.005)
    r.records = log.of(job)
    r.text = brig('logs', '--raw', job).stdout.decode(errors='replace')
    if case.land and profile == case.profile:
        brig('wait', job)
        p = host_sh('JOB=%s\n%s' % (job, case.land), ws)
        r.text += p.stdout.decode(errors='replace')
    return r


def outside(case, ws):
    r = Result()
    home = os.path.dirname(ws) + '/home'
    env = {'PATH': '/usr/local/bin:/usr/bin:/bin', 'HOME': home,
           'LANG': 'C.UTF-8', 'TMPDIR': home}
    p = subprocess.run(['bash', '-c', case.run], cwd=ws, env=env,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=JOB_S)
    r.status = p.returncode if p.returncode >= 0 else 128 - p.returncode
    r.text = p.stdout.decode(errors='replace')
    return r


# ---- oracles ----------------------------------------------------------------

def host_sh(script, ws):
    env = dict(os.environ, HOME=os.path.dirname(ws) + '/home')
    return subprocess.run(['sh', '-c', script], cwd=ws, env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def fresh(case, kind):
    """A workspace of its own, from the template, set up."""
    d = '%s/w/%s-%s' % (T, case.profile, kind)
    subprocess.run(['cp', '-a', T + '/template', d], check=True)
    ws = d + '/ws'
    if case.setup:
        p = host_sh('set -e\n' + case.setup, ws)
        if p.returncode != 0:
            raise Failure('setup: ' + p.stdout.decode(errors='replace'))
    return ws


def argv_of(rec):
    return ' '.join(rec['obj'].get('argv', ()))


def like(text, pattern):
    """* is the only wildcard."""
    return re.fullmatch('.*'.join(map(re.escape, pattern.split('*'))), text,
                        re.S) is not None


def rule_like(rec, name):
    pol = rec.get('pol', {})
    if pol.get('name') and pol['name'] == name:
        return True
    return pol.get('rule', '').replace(' ', '') == name.replace(' ', '')


def execs(r, code):
    return [x for x in r.records if x['code'] == code
            and x['type'] == 'exec.decide']


def decided(r, effect, rest):
    rule, _, pattern = (s.strip() for s in rest.partition('|'))
    code = {'allow': 'EX101', 'ask': 'EX102', 'deny': 'EX401'}[effect]
    for rec in execs(r, code):
        if rule != '*' and not rule_like(rec, rule):
            continue
        if not pattern or like(argv_of(rec), pattern):
            return True
    return False


def holds(r, line):
    word, _, rest = line.partition(' ')
    if word in ('allow', 'ask', 'deny'):
        return decided(r, word, rest)
    if word == 'status':
        want = rest.lstrip('!')
        return (r.status != int(want) if rest.startswith('!')
                else r.status == int(want))
    if word == 'says':
        return rest in r.text
    if word == 'hides':
        return rest not in r.text
    if word == 'shown':
        return any(like(s, rest) for x in r.records if x['code'] == 'AS101'
                   for s in x['obj']['shown'])
    if word == 'reason':
        return any(like(x['dec'].get('reason', ''), rest)
                   for x in execs(r, 'EX401'))
    if word == 'unasked':
        return not execs(r, 'EX102')
    if word == 'undenied':
        return not execs(r, 'EX401')
    if word == 'printable':
        return not re.search('[^\n\t -~\u00a0-\u00ff]', r.text)
    if word == 'noline':
        return not any(x.startswith(rest) for x in r.text.splitlines())
    if word == 'count':
        effect, n = rest.split()
        code = {'allow': 'EX101', 'ask': 'EX102', 'deny': 'EX401'}[effect]
        # Repetitions are counted, not recorded one by one.
        more = sum(x.get('dec', {}).get('count', 0) for x in r.records
                   if x['code'] == 'EX104' and effect == 'allow')
        return len(execs(r, code)) + more == int(n)
    if word == 'never':
        return not any(like(argv_of(x), rest) for x in execs(r, 'EX101'))
    raise Failure('no such expectation: ' + line)


def account(r):
    out = ['status %s' % r.status]
    out += ['%s %s %s: %s' % (x['code'], x['pol'].get('name') or
                              x['pol'].get('rule'),
                              x['dec'].get('reason', ''), argv_of(x)[:200])
            for x in r.records if x['type'] == 'exec.decide'][:40]
    out += ['ended: %s' % json.dumps(x['obj']) for x in r.records
            if x['type'] == 'job.end']
    return out + ['output: ' + s for s in r.text.splitlines()[:15]]


def judge(case, r, ws, lines, harm):
    """Raise Failure unless all holds; harm says whether it must be done."""
    bad = ['expected: ' + s for s in lines if not holds(r, s)]
    if case.harm and (host_sh(case.harm, ws).returncode == 0) != harm:
        bad.append('harm done: %s' % (not harm))
    if not harm and case.then and host_sh(case.then, ws).returncode != 0:
        bad.append('not so afterwards: ' + case.then)
    if bad:
        raise Failure('\n'.join(bad + account(r)))


# ---- a case -----------------------------------------------------------------

def control(case, want):
    ws = fresh(case, 'control')
    if (case.control or 'open') == 'open':
        r = jailed(case, ws, 'open', 'deny')
    elif case.control == 'careless':
        r = Result()
        r.text = host_sh(case.careless, ws).stdout.decode(errors='replace')
    else:
        r = outside(case, ws)
    if host_sh(case.harm, ws).returncode != 0:
        raise Failure('\n'.join(['the command does no harm by itself'] +
                                account(r)))


def attempt(case, want):
    ws = fresh(case, 'jail')
    if case.terminal:
        judge(case, watched(case, ws, 'deny'), ws,
              case.lines('expect') + case.lines('terminal'), False)
        return
    judge(case, jailed(case, ws, case.profile, 'deny'), ws,
          case.lines('expect'), False)


def approved(case, want):
    ws = fresh(case, 'approved')
    lines = case.lines('approve')
    harm = 'harmless' not in lines
    judge(case, jailed(case, ws, case.profile, 'approve'), ws,
          [s for s in lines if s not in ('harmless', 'runs')], harm)


def allowed(case, want):
    """The same output and status as outside, and no record of a refusal."""
    ws = fresh(case, 'outside')
    o = outside(case, ws)
    if o.status != 0:
        raise Failure('\n'.join(['outside:'] + account(o)))
    ws = fresh(case, 'jail')
    r = jailed(case, ws, case.profile, 'deny')
    judge(case, r, ws,
          ['status 0', 'unasked', 'undenied'] + case.lines('expect'), False)
    if r.text != o.text:
        raise Failure('\n'.join(['output outside:'] + o.text.splitlines()[:20]
                                + account(r)))


def runs_of(kind, case):
    if kind == 'allowed':
        return [(allowed, '')]
    runs = [(attempt, '')]
    if case.harm:
        runs.insert(0, (control, ': control, it works without the rules'))
    if case.approve:
        runs.append((approved, ': approved once, it runs'))
    return runs


def one(arg):
    fn, case = arg
    for tool in case.needs.split():
        if not shutil.which(tool) and not os.path.exists(tool):
            return ('skip', 'needs ' + tool)
    if case.when:
        p = host_sh(case.when, T)
        if p.returncode != 0:
            return ('skip', p.stdout.decode().strip() or case.when)
    try:
        fn(case, '')
        return ('ok', '')
    except (Failure, OSError, subprocess.SubprocessError) as e:
        return ('bad', str(e))


def main():
    kind, folder = sys.argv[1:3]
    if kind == 'policy':
        return print_policy(folder)
    os.makedirs(T + '/w', exist_ok=True)
    todo = [(fn, c, what) for c in load(folder)
            for fn, what in runs_of(kind, c)]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(
            int(os.environ.get('CASE_JOBS', '4'))) as pool:
        results = pool.map(one, [(fn, c) for fn, c, _ in todo])
        for n, ((fn, c, what), (res, why)) in enumerate(zip(todo, results),
                                                        1):
            print('%s %d - %s%s%s' % ('not ok' if res == 'bad' else 'ok', n,
                                      c.name(), what,
                                      ' # SKIP ' + why if res == 'skip'
                                      else ''))
            if res == 'bad':
                bad = 1
                print('\n'.join('# ' + s for s in why.splitlines()))
            sys.stdout.flush()
    print('1..%d' % len(todo))
    return bad


if __name__ == '__main__':
    sys.exit(main())

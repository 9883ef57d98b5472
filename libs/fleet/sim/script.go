package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// Script is a story for a world: what happens when, as data.
//
// A script is lines of words. "#" begins a comment, 'quotes' or "quotes" hold words
// together. A line is a statement, which is carried out when the script is run, or
// "at TIME statement", which is carried out that much later. TIME and durations are written
// 90s, 5m, 1h30m. "[…]" may be left out.
//
//	cluster NAME                      make a cluster; the lines below are about it
//	task FAMILY cpu UNITS memory MIB  register a task definition, with any of
//	     [gpu N] [port N[/udp]]… [network awsvpc|host|bridge] [constraint EXPRESSION]…
//	     [arch x86_64|arm64] [os linux|windows_server_2022_core|…] [stop-timeout D] [run-for D]
//	     [tag KEY=VALUE]…
//	     [fails pull|start|exit] [image-arch x86_64|arm64] [health INTERVAL] [retries N]
//	     [start-period D] [unhealthy-after D]
//	service NAME [task FAMILY]        make a service, or change it if it is there, with any of
//	     [desired N] [min PERCENT] [max PERCENT] [daemon] [distinct] [constraint EXPRESSION]…
//	     [strategy TYPE[:FIELD]]… [subnet ID]… [provider NAME[:WEIGHT[:BASE]]]… [tag KEY=VALUE]…
//	     [balanced] [grace D] [breaker] [rollback] [threshold TYPE:VALUE] [rebalancing on|off]
//	     [force]
//	delete service NAME               delete a service with its tasks
//	run FAMILY [count N] [for D] [provider NAME[:WEIGHT[:BASE]]]…
//	                                  run standalone tasks, which end after D
//	finish FAMILY [count N]           end standalone tasks that run; all unless told
//	protect SERVICE [count N] [for D] give tasks scale-in protection (1, for 2h)
//	unprotect SERVICE                 take it away from all tasks of a service
//	unhealthy SERVICE [count N] [for D]
//	                                  let tasks fail their health checks, the oldest first, all
//	                                  unless told, for a time or until they are replaced
//	launch TYPE [count N] [zone ZONE] [lifecycle spot] [attribute KEY=VALUE]… [tag KEY=VALUE]…
//	     [image al2|bottlerocket|windows|PARAMETER] [set NAME=VALUE]…
//	                                  launch instances by hand that join the cluster; set is
//	                                  a setting of the agent such as ECS_RESERVED_MEMORY=256
//	group NAME [type TYPE]… [min N] [max N] [desired N] [zone ZONE]… [spot PERCENT] [protected]
//	     [attribute KEY=VALUE]… [tag KEY=VALUE]…
//	                                  make an auto scaling group whose instances join the
//	                                  cluster; protected is scale-in protection of new ones
//	provider NAME group GROUP [managed] [target PERCENT] [step-min N] [step-max N] [warm-up D]
//	     [protected] [undrained]      make a capacity provider of a group and give it to the
//	                                  cluster: managed scaling, managed termination
//	                                  protection, no managed draining
//	capacity GROUP N                  set the desired capacity of an auto scaling group
//	stop INSTANCES                    stop instances, as a person would
//	reboot INSTANCES                  restart instances; their tasks end
//	start stopped [N], start ID       start stopped instances again
//	maintenance CODE in D INSTANCES   EC2 plans instance-retirement, system-reboot, … for instances
//	quota CLASS LIFECYCLE VCPUS       bound the vCPUs of Standard, G/VT, P, … or *; 0 is no bound
//	reserve TYPE [count N] [zone ZONE]
//	                                  own reserved instances for a year
//	savings-plan USD [family FAMILY]  own a savings plan of so much per hour for a year
//	consistency eventual|strong|D     let reads of EC2 be behind
//	shortage TYPE ZONE [LIFECYCLE] [left N] [for D]
//	                                  leave no (or N) instances of offerings; * is any
//	plenty TYPE ZONE [LIFECYCLE]      end shortages
//	price TYPE ZONE USD               fix a spot price per hour; 0 frees it
//	interrupt INSTANCES               interrupt spot instances
//	rebalance INSTANCES               recommend a rebalance of spot instances
//	drain INSTANCES                   set container instances to DRAINING, as a person would
//	terminate INSTANCES               terminate instances, as a person would
//	disconnect INSTANCES [for D]      take the agents of instances away
//	impair INSTANCES                  let EC2's status checks of instances fail
//	restart INSTANCES [set NAME=VALUE]…
//	                                  restart agents, with other settings
//	deregister INSTANCES [force]      deregister container instances, as a person would
//	flaps PER_HOUR                    let agents lose their connection for a moment; 0 ends it
//	trunks fail N                     the next N trunk interfaces cannot be attached
//	interruptions SCALE               let EC2 take spot instances, so many times as often as
//	                                  it does on average; 0 ends it
//	zone ZONE down [for D]            lose an availability zone
//	zone ZONE up                      give it back
//	stall N                           the next N launches never register
//	events [drop PERCENT] [duplicate PERCENT] [reorder D] [of CLASS] [for D]
//	                                  lose, double and delay events; CLASS, best-effort unless
//	                                  said, is what may be lost: best-effort, durable or all
//	throttle on|off                   apply the published API rate limits, or stop it
//	throttle TARGET PERCENT           scale the limits of a service or bucket
//	outage TARGET KIND [share PERCENT] [for D]
//	                                  let calls of a service (ecs) or operation
//	                                  (ecs:DescribeTasks) go wrong; KIND is error STATUS,
//	                                  error CODE[/STATUS], reset, hang, truncated, lost, stale D
//	slow TARGET MEDIAN [p99 D] [share PERCENT] [for D]
//	                                  let calls take long, in wall time
//	restore TARGET                    end the outages of a target, * all
//	advance D                         let time pass before the next statement; not behind "at"
//
// INSTANCES is "spot [N]", the N (1) oldest running spot instances; "oldest [N]", the N (1)
// oldest ACTIVE container instances of the cluster; or the ID of one.
type Script struct {
	steps []step
}

// step is a statement with its line and its time.
type step struct {
	line  int
	after time.Duration
	words []string
	do    statement
}

// statement does something to a world. A statement about a cluster is told which.
type statement func(w *World, c *scene) error

// scene is what a script talks about.
type scene struct {
	cluster fleet.ClusterName
}

// ParseScript reads a script. An error names the line, what is wrong with it and what
// would be right.
func ParseScript(text string) (*Script, error) {
	s := &Script{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		words, err := splitWords(line)
		if err != nil {
			return nil, fmt.Errorf("script line %d: %w", number, err)
		}
		if len(words) == 0 {
			continue
		}
		st := step{line: number}
		if words[0] == "at" {
			if len(words) < 3 {
				return nil, fmt.Errorf("script line %d: write \"at TIME statement\", such as: at 60s service web desired 40", number)
			}
			if st.after, err = duration(words[1]); err != nil {
				return nil, fmt.Errorf("script line %d: %w", number, err)
			}
			words = words[2:]
		}
		st.words = words
		if st.do, err = parseStatement(words); err != nil {
			return nil, fmt.Errorf("script line %d: %w", number, err)
		}
		s.steps = append(s.steps, st)
	}
	return s, nil
}

// Run carries out the statements without a time and lets those with one happen later. The
// first statement that cannot be carried out now ends the run with an error; one that
// cannot be carried out later is noted in [World.ScriptErrors].
func (s *Script) Run(w *World) error {
	c := &scene{}
	if names := w.clusterNames(); len(names) == 1 {
		c.cluster = names[0]
	}
	for _, st := range s.steps {
		if st.after > 0 {
			w.in(st.after, scripted{st, c})
			continue
		}
		if err := w.carryOut(&st, c); err != nil {
			return fmt.Errorf("script line %d: %w", st.line, err)
		}
	}
	return nil
}

// Length is when the last statement of the script is carried out, from its beginning.
func (s *Script) Length() time.Duration {
	var longest, passed time.Duration
	for _, st := range s.steps {
		if st.after == 0 && st.words[0] == "advance" {
			d, _ := duration(st.words[1]) // it was read before
			passed += d
		}
		longest = max(longest, passed+st.after)
	}
	return longest
}

// scripted is a statement whose time has come.
type scripted struct {
	step
	c *scene
}

func (e scripted) happen(w *World) {
	if err := w.carryOut(&e.step, e.c); err != nil {
		w.scriptErrors = append(w.scriptErrors, fmt.Errorf("script line %d: %w", e.line, err))
	}
}

// ScriptErrors are the statements that could not be carried out when their time came.
func (w *World) ScriptErrors() []error { return w.scriptErrors }

func (w *World) clusterNames() []fleet.ClusterName {
	var names []fleet.ClusterName
	for c := range w.clusterRoll.all {
		names = append(names, fleet.ClusterName(c.name))
	}
	return names
}

// splitWords splits a line into words, up to a comment.
func splitWords(line string) ([]string, error) {
	var words []string
	var b strings.Builder
	inWord := false
	var quote rune
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			b.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == '#' && !inWord:
			return words, nil
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			if inWord {
				words = append(words, b.String())
				b.Reset()
				inWord = false
			}
		default:
			inWord = true
			b.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, b.String())
	}
	return words, nil
}

// duration reads a time such as 90s or 1h30m.
func duration(word string) (time.Duration, error) {
	d, err := time.ParseDuration(word)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%.40q is no time: write it like 90s, 5m or 1h30m", word)
	}
	return d, nil
}

// options are the words of a statement behind its subject: names with values.
type options struct {
	values map[string][]string
	err    error
}

// parseOptions reads options. Each allowed name takes one value, or none if it ends with
// "!".
func parseOptions(words []string, allowed ...string) (*options, error) {
	o := &options{values: map[string][]string{}}
	for i := 0; i < len(words); i++ {
		name := words[i]
		switch {
		case contains(allowed, name+"!"):
			o.values[name] = append(o.values[name], "")
		case !contains(allowed, name):
			return nil, fmt.Errorf("%.40q is not understood here: use %s", name, strings.ReplaceAll(strings.Join(allowed, ", "), "!", ""))
		case i+1 == len(words):
			return nil, fmt.Errorf("%s needs a value", name)
		default:
			i++
			o.values[name] = append(o.values[name], words[i])
		}
	}
	return o, nil
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

func (o *options) has(name string) bool { return len(o.values[name]) > 0 }

// text is the last value of an option.
func (o *options) text(name, usual string) string {
	if v := o.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return usual
}

// int is the value of an option that is a number.
func (o *options) int(name string, usual int) int {
	text := o.text(name, "")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if (err != nil || n < 0) && o.err == nil {
		o.err = fmt.Errorf("%s %.40q is no number: write one from 0 up", name, text)
	}
	return n
}

// duration is the value of an option that is a time.
func (o *options) duration(name string, usual time.Duration) time.Duration {
	text := o.text(name, "")
	if text == "" {
		return usual
	}
	d, err := duration(text)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%s: %w", name, err)
	}
	return d
}

// pairs are the values of an option that are written KEY=VALUE.
func (o *options) pairs(name string) map[string]string {
	pairs := map[string]string{}
	for _, text := range o.values[name] {
		key, value, found := strings.Cut(text, "=")
		if (!found || key == "") && o.err == nil {
			o.err = fmt.Errorf("%s %.40q: write it KEY=VALUE", name, text)
		}
		pairs[key] = value
	}
	return pairs
}

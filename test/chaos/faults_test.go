package chaos_test

import (
	"fmt"
	"slices"
	"syscall"
	"time"
)

// fault is something that can happen. It hits one thing at a time, which is spared until it
// is over.
type fault struct {
	name   string
	weight int           // of 100 or so
	most   time.Duration // it lasts up to this
	hits   func(s *storm) []string
	begin  func(s *storm, what string) (undo func())
}

// gap is how long it takes to the next fault on average.
const gap = 900 * time.Millisecond

var faults = []fault{
	{"kill", 35, 3 * time.Second, (*storm).processes, (*storm).kill},
	{"freeze", 10, 8 * time.Second, (*storm).processes, (*storm).freeze},
	{"stop", 8, time.Second, (*storm).processes, (*storm).terminate},
	{"redis away", 4, 8 * time.Second, only("redis"), (*storm).redisAway},
	{"nats node killed", 3, 5 * time.Second, only("nats"), (*storm).killNode},
	{"nats node frozen", 2, 6 * time.Second, only("nats"), (*storm).freezeNode},
	{"link cut", 8, 5 * time.Second, (*storm).ways, (*storm).cutLink},
	{"link slow", 3, 5 * time.Second, (*storm).ways, toxic(slow)},
	{"link narrow", 3, 5 * time.Second, (*storm).ways, toxic(narrow)},
	{"link reset", 4, 2 * time.Second, (*storm).ways, toxic(reset)},
	{"link mute", 3, 5 * time.Second, (*storm).ways, toxic(mute)},
	{"link deaf", 3, 5 * time.Second, (*storm).ways, toxic(deaf)},
	{"link mangled", 2, 4 * time.Second, (*storm).ways, toxic(mangled)},
	{"load", 9, 9 * time.Second, only("load"), (*storm).load},
	{"spot taken", 3, 4 * time.Second, only("spot"), (*storm).interrupt},
	{"AWS fails", 8, 5 * time.Second, only("aws"), (*storm).fail},
	{"events lost", 3, 8 * time.Second, only("events"), (*storm).loseEvents},
}

// turn ends the faults whose time is up, lets a new one happen, looks at the truth, and lets
// a little time pass.
func (s *storm) turn() {
	s.end(time.Now())
	s.supervise()
	f := s.draw()
	spared := slices.DeleteFunc(f.hits(s), func(what string) bool { return s.hit[what] != nil })
	if len(spared) > 0 {
		what := spared[s.rand.IntN(len(spared))]
		lasts := time.Duration(s.rand.Int64N(int64(f.most)))
		s.counts[f.name]++
		s.T.Logf("%s: %s for %s", what, f.name, lasts.Round(time.Millisecond))
		s.hit[what] = &blow{until: time.Now().Add(lasts), undo: f.begin(s, what)}
	}
	s.Truth() // fails on what must never be
	time.Sleep(time.Duration(s.rand.Int64N(int64(2 * gap))))
}

// draw takes a fault by its weight.
func (s *storm) draw() *fault {
	total := 0
	for i := range faults {
		total += faults[i].weight
	}
	n := s.rand.IntN(total)
	for i := range faults {
		if n -= faults[i].weight; n < 0 {
			return &faults[i]
		}
	}
	panic("unreachable: the weights sum to the total")
}

// end undoes the faults that are over at a time.
func (s *storm) end(at time.Time) {
	for what, b := range s.hit {
		if !b.until.After(at) {
			b.undo()
			delete(s.hit, what)
		}
	}
}

// supervise starts processes again that ended by themselves, as a platform does: a service
// that finds no bus at its start ends and says so.
func (s *storm) supervise() {
	for _, name := range s.processes() {
		if s.hit[name] == nil && !s.Running[name].Running() {
			s.counts["started by the platform"]++
			s.restart(name)
		}
	}
}

// heal undoes everything.
func (s *storm) heal() {
	s.end(time.Now().Add(time.Hour))
	s.Script("interruptions 0")
	s.T.Log("healed")
}

func only(what string) func(*storm) []string { return func(*storm) []string { return []string{what} } }

// ways lists the links.
func (s *storm) ways() []string {
	var names []string
	for name := range s.links {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *storm) kill(process string) func() {
	s.Running[process].Kill()
	return func() { s.restart(process) }
}

func (s *storm) freeze(process string) func() {
	p := s.Running[process]
	s.signal(p.Signal(syscall.SIGSTOP))
	return func() { s.signal(p.Signal(syscall.SIGCONT)) }
}

func (s *storm) signal(err error) {
	if err != nil {
		s.T.Errorf("signal: %v", err)
	}
}

// terminate ends a process as platforms do, who wait a while and then kill.
func (s *storm) terminate(process string) func() {
	p := s.Running[process]
	s.signal(p.Signal(syscall.SIGTERM))
	return func() {
		p.Kill()
		s.restart(process)
	}
}

// redisAway ends Redis; when it comes again it is empty.
func (s *storm) redisAway(string) func() {
	s.redis.Stop()
	return s.redis.Restart
}

func (s *storm) killNode(string) func() {
	n := s.nats[s.rand.IntN(nodes)]
	n.process.Kill()
	return func() { n.start(s.T) }
}

func (s *storm) freezeNode(string) func() {
	n := s.nats[s.rand.IntN(nodes)]
	s.signal(n.process.Signal(syscall.SIGSTOP))
	return func() { s.signal(n.process.Signal(syscall.SIGCONT)) }
}

func (s *storm) cutLink(name string) func() { return s.links[name].cut(s.T) }

func toxic(of string) func(*storm, string) func() {
	return func(s *storm, name string) func() { return s.links[name].spoil(s.T, of) }
}

// load changes what is wanted.
func (s *storm) load(string) func() {
	s.Script(fmt.Sprintf("service web desired %d\nservice api desired %d", s.rand.IntN(30), s.rand.IntN(8)))
	return func() {}
}

// interrupt lets EC2 take spot instances more often.
func (s *storm) interrupt(string) func() {
	s.Script("interruptions 2000")
	return func() { s.Script("interruptions 0") }
}

// outages are the ways in which AWS fails: it refuses, forgets to answer, breaks off, does
// what was asked and never says so, or shows what was.
var outages = []string{
	"outage ec2 error 503", "outage ecs error 500 share 50%", "outage ec2 hang share 30%", "outage ecs reset share 50%",
	"outage ec2:CreateFleet lost", "outage ec2:TerminateInstances lost", "outage ecs:UpdateContainerInstancesState lost",
	"outage ecs:DeregisterContainerInstance lost", "outage ecs truncated share 20%", "outage ec2:DescribeInstances stale 2m",
	"throttle ec2* 10%", "throttle ecs* 10%",
}

func (s *storm) fail(string) func() {
	s.Script(outages[s.rand.IntN(len(outages))])
	return func() { s.Script("restore *\nthrottle ec2* 100%\nthrottle ecs* 100%") }
}

// loseEvents loses, doubles and delays events.
func (s *storm) loseEvents(string) func() {
	s.Script("events drop 50% duplicate 50% reorder 30s of all")
	return func() { s.Script("events of all") }
}

package sim

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// sizes are the numbers of instances that growth is measured with.
var sizes = []int{200, 1000, 5000}

// full is a world whose cluster is full of running tasks: 20 for each instance, in
// services of 50 tasks.
func full(t testing.TB, instances int, queues ...string) *World {
	t.Helper()
	w := must(New(Config{Seed: 7, EventQueues: queues}))(t)
	must(w.CreateCluster(&CreateClusterInput{ClusterName: "web"}))(t)
	zones := w.cfg.Zones
	for i, z := range zones {
		n := instances / len(zones)
		if i < instances%len(zones) {
			n++
		}
		must(w.Launch(Fixture{Cluster: "web", Type: "m7i.2xlarge", Zone: fleet.Zone(z.Name), Count: n, Lifecycle: fleet.Spot}))(t)
	}
	w.Advance(w.Now().Add(2 * time.Minute))
	must(w.RegisterTaskDefinition(&RegisterTaskDefinitionInput{Family: "web", ContainerDefinitions: []ContainerDefinition{
		{Name: "app", Image: "web", CPU: 384, Memory: 1024},
	}}))(t)
	const each = 50
	for i := range instances * 20 / each {
		n := each
		must(w.CreateService(&CreateServiceInput{Cluster: "web", ServiceName: fmt.Sprintf("s%d", i), TaskDefinition: "web", DesiredCount: &n}))(t)
	}
	w.Advance(w.Now().Add(3 * time.Minute))
	if c := w.clusters["web"]; c.running != instances*20 {
		t.Fatalf("%d tasks run, %d expected", c.running, instances*20)
	}
	return w
}

// BenchmarkAdvance lets a minute pass in which one task of a thousand is stopped each
// second, and replaced.
func BenchmarkAdvance(b *testing.B) {
	for _, instances := range sizes {
		b.Run(fmt.Sprint(instances), func(b *testing.B) {
			w := full(b, instances)
			used := processor(b)
			b.ResetTimer()
			for b.Loop() {
				churn(w, time.Minute)
			}
			reportProcessor(b, used, instances*20)
		})
	}
}

// churn lets time pass in which one task of a thousand is stopped each second.
func churn(w *World, d time.Duration) {
	c := w.clusters["web"]
	for range int(d / time.Second) {
		for range c.running / 1000 {
			s := c.serviceRoll.items[w.rng.IntN(len(c.serviceRoll.items))]
			if len(s.active) > 0 {
				w.stopTask(s.active[w.rng.IntN(len(s.active))], stopByUser, "churn")
			}
		}
		w.Advance(w.Now().Add(time.Second))
	}
}

// BenchmarkFill makes a cluster and fills it with tasks. It reports the memory that a full
// cluster takes.
func BenchmarkFill(b *testing.B) {
	for _, instances := range sizes {
		b.Run(fmt.Sprint(instances), func(b *testing.B) {
			var w *World
			before, used := heapInUse(), processor(b)
			for b.Loop() {
				w = full(b, instances)
			}
			reportProcessor(b, used, instances*20)
			reportHeap(b, before, w)
		})
	}
}

// BenchmarkHour lets an hour pass in a full cluster whose tasks are replaced at the pace of
// churn, with an event queue that nobody reads, and reports what that leaves in memory.
func BenchmarkHour(b *testing.B) {
	w := full(b, 5000, "events")
	before, used := heapInUse(), processor(b)
	b.ResetTimer()
	for b.Loop() {
		churn(w, time.Hour)
	}
	reportProcessor(b, used, 0)
	reportHeap(b, before, w)
}

// heapInUse is how much memory is in use.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the first one finalised
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// reportHeap reports how much memory a world takes, in MiB.
func reportHeap(b *testing.B, before uint64, w *World) {
	b.Helper()
	now := heapInUse()
	b.ReportMetric(float64(now-min(before, now))/(1<<20), "MiB-more")
	b.ReportMetric(float64(now)/(1<<20), "MiB-heap")
	runtime.KeepAlive(w)
}

// processor is the time that all cores have given to this process, which says more than the
// clock where others are at work too.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// reportProcessor reports the processor time of one run, and of one task if there is a
// number of them.
func reportProcessor(b *testing.B, before time.Duration, tasks int) {
	b.Helper()
	each := (processor(b) - before).Seconds() / float64(b.N)
	b.ReportMetric(each, "cpu-s/op")
	if tasks > 0 {
		b.ReportMetric(each*1e6/float64(tasks), "cpu-µs/task")
	}
}

// BenchmarkSave saves and loads a full cluster.
func BenchmarkSave(b *testing.B) {
	for _, instances := range sizes {
		w := full(b, instances)
		b.Run(fmt.Sprint("save/", instances), func(b *testing.B) {
			for b.Loop() {
				var out bytes.Buffer
				if err := w.Save(&out); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(out.Len())/(1<<20), "MiB")
			}
		})
		saved := save(b, w)
		b.Run(fmt.Sprint("load/", instances), func(b *testing.B) {
			for b.Loop() {
				must(Load(bytes.NewReader(saved)))(b)
			}
		})
	}
}

// BenchmarkDay lets a day pass in a cluster of some 200 instances and 4,000 tasks: services
// follow the time of day, 24 deployments replace the tasks of a service each, 40 standalone
// tasks come each minute, and each hour two spot instances are taken, two instances are
// drained and ended, and as many are launched. Without a queue, with one that is read, and
// with one that is not.
func BenchmarkDay(b *testing.B) {
	for _, queue := range []string{"without", "read", "unread"} {
		b.Run(queue, func(b *testing.B) {
			used := processor(b)
			for b.Loop() {
				d := newDay(b, queue)
				for range 24 * 60 {
					d.minute()
				}
				d.report()
			}
			reportProcessor(b, used, 0)
		})
	}
}

// day is a busy day of a cluster.
type day struct {
	b       *testing.B
	w       *World
	queue   string
	minutes int
	read    int
}

const (
	dayServices = 40
	dayTasks    = 100 // of a service, in the mean
)

func newDay(b *testing.B, queue string) *day {
	b.Helper()
	cfg := Config{Seed: 11}
	if queue != "without" {
		cfg.EventQueues = []string{"events"}
	}
	d := &day{b: b, w: must(New(cfg))(b), queue: queue}
	d.run("cluster web\ntask job cpu 128 memory 256 run-for 3m\ntask web cpu 256 memory 512\ntask agent cpu 64 memory 64\nservice agent task agent daemon")
	for _, zone := range d.w.cfg.Zones {
		d.run(fmt.Sprintf("launch m7i.2xlarge count 70 zone %s lifecycle spot", zone.Name))
	}
	d.w.Advance(d.w.Now().Add(3 * time.Minute))
	for i := range dayServices {
		d.run(fmt.Sprintf("service s%d task web desired %d", i, dayTasks))
	}
	d.w.Advance(d.w.Now().Add(5 * time.Minute))
	return d
}

func (d *day) run(text string) {
	if err := must(ParseScript(text))(d.b).Run(d.w); err != nil {
		d.b.Fatalf("%s: %v", text, err)
	}
}

// minute lets one minute of the day pass.
func (d *day) minute() {
	if d.minutes%10 == 0 { // load follows the sun: 60 to 140 % of the mean
		for i := range dayServices / 4 {
			angle := 2 * math.Pi * float64(d.minutes) / (24 * 60)
			d.run(fmt.Sprintf("service s%d desired %d", (d.minutes/10*10+i)%dayServices, int(dayTasks*(1+0.4*math.Sin(angle)))))
		}
	}
	d.run("run job count 40")
	switch d.minutes % 60 {
	case 5:
		d.run("interrupt spot 2")
	case 15:
		d.run("launch m7i.2xlarge count 4 lifecycle spot zone us-east-1" + string("abc"[d.minutes/60%3]))
	case 25:
		d.run("drain oldest 2")
	case 45:
		for _, id := range d.draining() {
			d.run("terminate " + id)
		}
	case 50:
		d.run(fmt.Sprintf("task web cpu 256 memory %d", 512+d.minutes%7))
		d.run(fmt.Sprintf("service s%d task web", d.minutes/60))
	}
	for range 4 {
		d.w.Advance(d.w.Now().Add(15 * time.Second))
		d.drainQueue()
	}
	d.minutes++
}

// draining are the instances that were drained and hold nothing any more.
func (d *day) draining() []string {
	var ids []string
	for h := range d.w.clusters["web"].hostRoll.all {
		if h.status == statusDraining && h.machine.state == machineRunning {
			ids = append(ids, h.machine.id)
		}
	}
	return ids
}

// drainQueue reads what is in the queue, if it is one that is read.
func (d *day) drainQueue() {
	if d.queue != "read" {
		return
	}
	for {
		out := must(d.w.ReceiveMessage(&ReceiveMessageInput{QueueURL: "events", MaxNumberOfMessages: 10}))(d.b)
		if len(out.Messages) == 0 {
			return
		}
		d.read += len(out.Messages)
		for _, m := range out.Messages {
			must(d.w.DeleteMessage(&DeleteMessageInput{QueueURL: "events", ReceiptHandle: m.ReceiptHandle}))(d.b)
		}
	}
}

// report checks that it was a day worth measuring, and says what it was.
func (d *day) report() {
	d.b.Helper()
	if err := d.w.Check(); err != nil {
		d.b.Fatal(err)
	}
	if errs := d.w.ScriptErrors(); len(errs) > 0 {
		d.b.Fatal(errs[0])
	}
	seen := d.w.seen
	d.b.ReportMetric(float64(seen.ServiceTasksStarted+seen.StandaloneTasksStarted), "tasks")
	d.b.ReportMetric(float64(seen.InstancesLaunched), "instances")
	if d.queue == "read" {
		d.b.ReportMetric(float64(d.read), "events")
	}
}

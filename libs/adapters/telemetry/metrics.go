package telemetry

import (
	"slices"

	"go.opentelemetry.io/otel/metric"
)

// Kind is how the values of a metric are to be read.
type Kind string

// The kinds of metric.
const (
	Counter   Kind = "counter"   // only grows, until the process restarts
	Gauge     Kind = "gauge"     // what is so now
	Histogram Kind = "histogram" // how often a value was how large
)

// Metric is the declaration of one metric.
type Metric struct {
	Name   string // of OpenTelemetry
	Kind   Kind
	Unit   string // of UCUM, as OpenTelemetry asks for
	Help   string
	From   string // who emits it
	Labels []string

	buckets []float64 // of a histogram
}

// Labels of metrics.
const (
	LabelCluster   = "cluster"
	LabelReason    = "reason"
	LabelKind      = "kind"
	LabelStep      = "step"
	LabelClass     = "class"
	LabelPhase     = "phase"
	LabelState     = "state"
	LabelSection   = "section"
	LabelResult    = "result"
	LabelStop      = "stop"
	LabelDryRun    = "dry_run"
	LabelLoop      = "loop"
	LabelBucket    = "bucket"
	LabelService   = "service"
	LabelOperation = "operation"
	LabelConsumer  = "consumer"
)

// labels say what each label holds, and thereby why it cannot grow without bound.
var labels = map[string]string{
	LabelCluster:   "name of an ECS cluster that has a policy",
	LabelReason:    "code of a reason, see `libs/fleet/reason.go`; there are some seventy",
	LabelKind:      "kind of an action: launch, drain, restore, reap; of `neap_aws_events_total` what an event is about",
	LabelStep:      "step of an action: launch, stamp, drain, stop-tasks, deregister, terminate, activate, or how it ended",
	LabelClass:     "class of a failure: throttled, capacity, denied …; empty where nothing failed",
	LabelPhase:     "phase of the state machine of an action, such as emptying",
	LabelState:     "of instances launching, running or draining; of capacity registered, requested or free",
	LabelSection:   "section of a snapshot: instances, ec2, services, tasks, catalogue, network",
	LabelResult:    "how it went: ok, error and the like, or a class of failure",
	LabelStop:      "why a decision looked no longer for cheaper instances",
	LabelDryRun:    "true or false",
	LabelLoop:      "name of a loop: one for each cluster, and a few",
	LabelBucket:    "token bucket of an AWS API",
	LabelService:   "service of AWS",
	LabelOperation: "operation of an AWS API, or of the cache",
	LabelConsumer:  "durable consumer of the plans: actuator or drainer",
}

// Bounds of the buckets of histograms, in seconds. Those of OpenTelemetry are made for
// milliseconds.
var (
	ofCalls = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	ofWaits = []float64{1, 5, 10, 15, 30, 60, 90, 120, 180, 300, 600, 1200, 3600}
)

// all are the metrics in the order of their declaration.
var all []*Metric

func declare(m Metric) *Metric {
	all = append(all, &m)
	return &m
}

// All are the metrics in the order of their declaration, which is the order of the page.
func All() []*Metric { return slices.Clone(all) }

// What the watcher measures.
var (
	SnapshotDuration = declare(Metric{
		Name: "neap.snapshot.duration", Kind: Histogram, Unit: "s", From: "watcher", Labels: []string{LabelCluster, LabelResult}, buckets: ofCalls,
		Help: "Time it took to sweep a cluster and publish its snapshot",
	})
	SnapshotIncomplete = declare(Metric{
		Name: "neap.snapshot.incomplete", Kind: Counter, From: "watcher", Labels: []string{LabelCluster, LabelSection},
		Help: "Sections of published snapshots that could not be read whole",
	})
	AWSEvents = declare(Metric{
		Name: "neap.aws.events", Kind: Counter, Unit: "{message}", From: "watcher", Labels: []string{LabelKind},
		Help: "Messages of the event queue, by what became of them",
	})
)

// What the planner measures.
var (
	SnapshotAge = declare(Metric{
		Name: "neap.snapshot.age", Kind: Gauge, Unit: "s", From: "planner", Labels: []string{LabelCluster},
		Help: "Age of the newest snapshot of the cluster",
	})
	PlanDuration = declare(Metric{
		Name: "neap.plan.duration", Kind: Histogram, Unit: "s", From: "planner", Labels: []string{LabelCluster}, buckets: ofCalls,
		Help: "Time it took to decide on one snapshot",
	})
	Plans = declare(Metric{
		Name: "neap.plans", Kind: Counter, Unit: "{plan}", From: "planner", Labels: []string{LabelCluster, LabelDryRun},
		Help: "Plans appended to the chain",
	})
	PlanLaunches = declare(Metric{
		Name: "neap.plan.launches", Kind: Counter, Unit: "{instance}", From: "planner", Labels: []string{LabelCluster, LabelReason},
		Help: "Instances planned to be launched; dry runs do not count",
	})
	PlanRemovals = declare(Metric{
		Name: "neap.plan.removals", Kind: Counter, Unit: "{instance}", From: "planner", Labels: []string{LabelCluster, LabelReason},
		Help: "Instances planned to be removed; dry runs do not count",
	})
	PlanHolds = declare(Metric{
		Name: "neap.plan.holds", Kind: Counter, From: "planner", Labels: []string{LabelCluster, LabelReason},
		Help: "Looks at a cluster that made no plan",
	})
	PlanLooks = declare(Metric{
		Name: "neap.plan.looks", Kind: Counter, From: "planner", Labels: []string{LabelCluster, LabelStop},
		Help: "Decisions that launch something, by why they looked no longer for cheaper instances",
	})
	Paused = declare(Metric{
		Name: "neap.paused", Kind: Gauge, Unit: "{bool}", From: "planner", Labels: []string{LabelCluster},
		Help: "1 while a person has paused the cluster, or all of them; else 0",
	})
	Instances = declare(Metric{
		Name: "neap.instances", Kind: Gauge, Unit: "{instance}", From: "planner", Labels: []string{LabelCluster, LabelState},
		Help: "Instances of the cluster",
	})
	TasksRunning = declare(Metric{
		Name: "neap.tasks.running", Kind: Gauge, Unit: "{task}", From: "planner", Labels: []string{LabelCluster},
		Help: "Tasks that are placed on the cluster",
	})
	TasksWaiting = declare(Metric{
		Name: "neap.tasks.waiting", Kind: Gauge, Unit: "{task}", From: "planner", Labels: []string{LabelCluster, LabelReason},
		Help: "Tasks that are wanted and not placed, by why: fits-now and booting have room, demand is being launched for, all other reasons say why nothing is",
	})
	TasksUnplaced = declare(Metric{
		Name: "neap.tasks.unplaced", Kind: Gauge, Unit: "{task}", From: "planner", Labels: []string{LabelCluster},
		Help: "Waiting tasks for which no room was found or may be bought",
	})
	TasksTimeToLaunch = declare(Metric{
		Name: "neap.tasks.time_to_launch", Kind: Histogram, Unit: "s", From: "planner", Labels: []string{LabelCluster}, buckets: ofWaits,
		Help: "Time from when tasks were first seen waiting to the plan that launches for them, by the clock of AWS; each task counts",
	})
	TasksTimeToRun = declare(Metric{
		Name: "neap.tasks.time_to_run", Kind: Histogram, Unit: "s", From: "planner", Labels: []string{LabelCluster}, buckets: ofWaits,
		Help: "Time from when tasks were first seen waiting to when they were seen placed, by the clock of AWS; each task counts",
	})
	CapacityCPU = declare(Metric{
		Name: "neap.capacity.cpu", Kind: Gauge, Unit: "{vcpu}", From: "planner", Labels: []string{LabelCluster, LabelState},
		Help: "vCPUs that active instances registered, that are free on them, and that the wanted tasks ask for",
	})
	CapacityMemory = declare(Metric{
		Name: "neap.capacity.memory", Kind: Gauge, Unit: "By", From: "planner", Labels: []string{LabelCluster, LabelState},
		Help: "Memory that active instances registered, that is free on them, and that the wanted tasks ask for",
	})
	CapacityGPU = declare(Metric{
		Name: "neap.capacity.gpu", Kind: Gauge, Unit: "{gpu}", From: "planner", Labels: []string{LabelCluster, LabelState},
		Help: "GPUs that active instances registered, that are free on them, and that the wanted tasks ask for",
	})
	HeadroomWanted = declare(Metric{
		Name: "neap.headroom.wanted", Kind: Gauge, Unit: "{unit}", From: "planner", Labels: []string{LabelCluster},
		Help: "Units of headroom that the policy asks for now",
	})
	HeadroomPresent = declare(Metric{
		Name: "neap.headroom.present", Kind: Gauge, Unit: "{unit}", From: "planner", Labels: []string{LabelCluster},
		Help: "Units of headroom that are there, are booting or are planned",
	})
	Cost = declare(Metric{
		Name: "neap.cost", Kind: Gauge, Unit: "USD/h", From: "planner", Labels: []string{LabelCluster},
		Help: "What the instances of the cluster cost now",
	})
	Savings = declare(Metric{
		Name: "neap.savings", Kind: Gauge, Unit: "USD/h", From: "planner", Labels: []string{LabelCluster},
		Help: "What the spot instances of the cluster would cost more at on-demand prices",
	})
	StandingCost = declare(Metric{
		Name: "neap.standing.cost", Kind: Gauge, Unit: "USD/h", From: "planner", Labels: []string{LabelCluster},
		Help: "What the instances of the cluster cost when that was last compared with the least possible",
	})
	StandingBound = declare(Metric{
		Name: "neap.standing.bound", Kind: Gauge, Unit: "USD/h", From: "planner", Labels: []string{LabelCluster},
		Help: "No cluster for the same tasks costs less under the policy",
	})
	StandingRatio = declare(Metric{
		Name: "neap.standing.ratio", Kind: Gauge, Unit: "1", From: "planner", Labels: []string{LabelCluster},
		Help: "Cost as a multiple of the bound; 1 is as cheap as can be",
	})
)

// What the actuator and the drainer measure.
var (
	ActionCalls = declare(Metric{
		Name: "neap.action.calls", Kind: Counter, Unit: "{call}", From: "actuator, drainer", Labels: []string{LabelCluster, LabelKind, LabelStep, LabelClass},
		Help: "Calls of actions that change AWS, by what came of them",
	})
	Actions = declare(Metric{
		Name: "neap.actions", Kind: Counter, Unit: "{action}", From: "actuator, drainer", Labels: []string{LabelCluster, LabelKind, LabelStep, LabelClass, LabelReason},
		Help: "Actions that are over, by how they ended",
	})
	ActionInstances = declare(Metric{
		Name: "neap.action.instances", Kind: Counter, Unit: "{instance}", From: "actuator, drainer", Labels: []string{LabelCluster, LabelKind},
		Help: "Instances that actions launched",
	})
	ActionDuration = declare(Metric{
		Name: "neap.action.duration", Kind: Histogram, Unit: "s", From: "actuator, drainer", Labels: []string{LabelCluster, LabelKind, LabelStep}, buckets: ofWaits,
		Help: "Time from plan to end of an action, by the clock of AWS",
	})
	ActionsOpen = declare(Metric{
		Name: "neap.actions.open", Kind: Gauge, Unit: "{action}", From: "actuator, drainer", Labels: []string{LabelCluster, LabelKind, LabelPhase},
		Help: "Actions that are under way, by the phase they are in. Every replica sees all of them: take the maximum, not the sum",
	})
	QueueLag = declare(Metric{
		Name: "neap.queue.lag", Kind: Gauge, Unit: "{plan}", From: "actuator, drainer", Labels: []string{LabelConsumer},
		Help: "Plans that the service has not taken into its ledger yet. Every replica sees all of them: take the maximum, not the sum",
	})
)

// What every service measures that has to do with it.
var (
	AWSCallDuration = declare(Metric{
		Name: "neap.aws.call.duration", Kind: Histogram, Unit: "s", From: "watcher, actuator, drainer", Labels: []string{LabelService, LabelOperation, LabelResult}, buckets: ofCalls,
		Help: "Time a call of AWS took, its waiting for our own rate limit and its retries included",
	})
	AWSCalls = declare(Metric{
		Name: "neap.aws.calls", Kind: Counter, Unit: "{call}", From: "watcher, actuator, drainer", Labels: []string{LabelBucket, LabelResult},
		Help: "Attempts of calls of AWS by the token bucket that they are charged to: ok, throttled (AWS said so), held (our share was used up, nothing was sent), error",
	})
	AWSBudgetUsed = declare(Metric{
		Name: "neap.aws.budget.used", Kind: Gauge, Unit: "1", From: "watcher, actuator, drainer", Labels: []string{LabelBucket},
		Help: "Part of this process' share of a token bucket that is used up; at 1 calls wait",
	})
	BusQuarantined = declare(Metric{
		Name: "neap.bus.quarantined", Kind: Counter, Unit: "{message}", From: "actuator, drainer", Labels: []string{LabelConsumer},
		Help: "Messages set aside because nobody could read or handle them",
	})
	CacheRequests = declare(Metric{
		Name: "neap.cache.requests", Kind: Counter, From: "watcher, planner", Labels: []string{LabelOperation, LabelResult},
		Help: "Values asked of the cache or given to it",
	})
	LoopDuration = declare(Metric{
		Name: "neap.loop.duration", Kind: Histogram, Unit: "s", From: "every service", Labels: []string{LabelLoop, LabelResult}, buckets: ofCalls,
		Help: "Time one turn of a loop took",
	})
)

// The methods below make the instrument of a declaration. One that cannot be made records
// nothing: no work of Neap depends on being measured.

// Counter makes the instrument of a counter.
func (m *Metric) Counter(meter metric.Meter) metric.Int64Counter {
	c, _ := meter.Int64Counter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help))
	return c
}

// Histogram makes the instrument of a histogram.
func (m *Metric) Histogram(meter metric.Meter) metric.Float64Histogram {
	h, _ := meter.Float64Histogram(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help), metric.WithExplicitBucketBoundaries(m.buckets...))
	return h
}

// Gauge makes the instrument of a gauge, which is read when somebody asks.
func (m *Metric) Gauge(meter metric.Meter) metric.Float64ObservableGauge {
	g, _ := meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help))
	return g
}

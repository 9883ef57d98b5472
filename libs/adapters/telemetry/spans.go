package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of spans. Those without our prefix are of OpenTelemetry's semantic conventions:
// messaging, RPC and AWS SDK.
const (
	AttrCluster    attribute.Key = "neap.cluster"
	AttrPlan       attribute.Key = "neap.plan"
	AttrActions    attribute.Key = "neap.plan.actions"
	AttrDryRun     attribute.Key = "neap.plan.dry_run"
	AttrStop       attribute.Key = "neap.plan.stop"
	AttrPlanEffort attribute.Key = "neap.plan.effort"
	AttrAction     attribute.Key = "neap.action"
	AttrKind       attribute.Key = "neap.action.kind"
	AttrOf         attribute.Key = "neap.action.of"
	AttrAttempt    attribute.Key = "neap.delivery.attempt"

	AttrMessagingSystem      attribute.Key = "messaging.system"
	AttrMessagingOperation   attribute.Key = "messaging.operation.name"
	AttrMessagingType        attribute.Key = "messaging.operation.type"
	AttrMessagingDestination attribute.Key = "messaging.destination.name"
	AttrMessagingTemplate    attribute.Key = "messaging.destination.template"
	AttrMessagingID          attribute.Key = "messaging.message.id"
	AttrMessagingSize        attribute.Key = "messaging.message.body.size"
	AttrMessagingGroup       attribute.Key = "messaging.consumer.group.name"

	AttrRPCSystem  attribute.Key = "rpc.system"
	AttrRPCService attribute.Key = "rpc.service"
	AttrRPCMethod  attribute.Key = "rpc.method"
	AttrRequestID  attribute.Key = "aws.request_id"
	AttrError      attribute.Key = "error.type"
)

// AttrLook is an attribute of one of the looks of a decision: first or second, and of it
// effort, cost, bound or gap.
func AttrLook(which, what string) attribute.Key {
	return attribute.Key("neap.plan." + which + "." + what)
}

// AttrStanding is an attribute of a standing: effort, cost, bound or ratio.
func AttrStanding(what string) attribute.Key { return attribute.Key("neap.standing." + what) }

// attributes say what each attribute holds.
var attributes = map[attribute.Key]string{
	AttrCluster:              "name of the ECS cluster",
	AttrPlan:                 "ID of the plan",
	AttrActions:              "how many actions the plan has",
	AttrDryRun:               "whether the policy was in dry run",
	AttrStop:                 "why the decision looked no longer for cheaper instances",
	AttrPlanEffort:           "effort of the look that was taken",
	AttrAction:               "ID of the action; instances that it launched carry it as a tag",
	AttrKind:                 "launch, drain, restore or reap",
	AttrOf:                   "what the action works on: a launch spec or an instance",
	AttrAttempt:              "1 on the first delivery; later ones have a link to the span that sent the message",
	AttrMessagingSystem:      "nats",
	AttrMessagingOperation:   "publish or process",
	AttrMessagingType:        "send or process",
	AttrMessagingDestination: "subject",
	AttrMessagingTemplate:    "subject without generation and cluster",
	AttrMessagingID:          "`Nats-Msg-Id`",
	AttrMessagingSize:        "bytes of the payload as sent",
	AttrMessagingGroup:       "durable consumer",
	AttrRPCSystem:            "aws-api",
	AttrRPCService:           "service of AWS",
	AttrRPCMethod:            "operation",
	AttrRequestID:            "request ID, which AWS support asks for and CloudTrail knows",
	AttrError:                "class of the failure, where one happened",
}

func init() {
	for _, which := range []string{"first", "second"} {
		for what, text := range map[string]string{
			"effort": "effort of the " + which + " look", "cost": "cost per hour of what it launches",
			"bound": "no choice of instances for the same tasks costs less", "gap": "by what part the cost is above that",
		} {
			attributes[AttrLook(which, what)] = text
		}
	}
	for what, text := range map[string]string{
		"effort": "effort with which it was looked for", "cost": "what the cluster costs per hour",
		"bound": "no cluster for the same tasks costs less", "ratio": "cost as a multiple of the bound",
	} {
		attributes[AttrStanding(what)] = text
	}
}

// Span is the declaration of a span.
type Span struct {
	Name       string // as people look for it; see Names
	Names      []string
	Kind       trace.SpanKind
	From       string
	Under      string
	Help       string
	Attributes []attribute.Key
}

var spans []*Span

func span(s Span) *Span {
	if len(s.Names) == 0 {
		s.Names = []string{s.Name}
	}
	spans = append(spans, &s)
	return &s
}

// Spans are the spans in the order in which a decision makes them.
func Spans() []*Span { return slices.Clone(spans) }

var messaging = []attribute.Key{
	AttrMessagingSystem, AttrMessagingOperation, AttrMessagingType, AttrMessagingDestination, AttrMessagingTemplate, AttrMessagingID,
}

// The spans of a decision.
var (
	SpanSnapshot = span(Span{
		Name: "snapshot", Kind: trace.SpanKindInternal, From: "watcher", Under: "– (it begins the trace)",
		Help: "One sweep of a cluster, until its snapshot is published", Attributes: []attribute.Key{AttrCluster},
	})
	SpanSendSnapshot = span(Span{
		Name: "send snapshot", Kind: trace.SpanKindProducer, From: "watcher", Under: "snapshot",
		Help: "The snapshot is stored in its stream", Attributes: append([]attribute.Key{AttrCluster, AttrMessagingSize}, messaging...),
	})
	SpanPlan = span(Span{
		Name: "plan", Kind: trace.SpanKindInternal, From: "planner", Under: "send snapshot",
		Help: "One decision on the snapshot. A snapshot may be decided on again, if the policy or the memory has changed",
		Attributes: []attribute.Key{
			AttrCluster, AttrPlan, AttrActions, AttrDryRun, AttrStop, AttrPlanEffort,
			AttrLook("first", "effort"), AttrLook("first", "cost"), AttrLook("first", "bound"), AttrLook("first", "gap"),
			AttrLook("second", "effort"), AttrLook("second", "cost"), AttrLook("second", "bound"), AttrLook("second", "gap"),
		},
	})
	SpanStanding = span(Span{
		Name: "standing", Kind: trace.SpanKindInternal, From: "planner", Under: "send snapshot",
		Help:       "What the cluster costs is compared with the least that it could cost",
		Attributes: []attribute.Key{AttrCluster, AttrStanding("effort"), AttrStanding("cost"), AttrStanding("bound"), AttrStanding("ratio")},
	})
	SpanSendPlan = span(Span{
		Name: "send plan", Kind: trace.SpanKindProducer, From: "planner", Under: "plan",
		Help:       "The plan is appended to the chain of the cluster",
		Attributes: append([]attribute.Key{AttrCluster, AttrPlan, AttrActions, AttrMessagingSize}, messaging...),
	})
	SpanProcessPlan = span(Span{
		Name: "process plan", Kind: trace.SpanKindConsumer, From: "actuator, drainer", Under: "send plan",
		Help: "The actions of the plan are written into the ledger. Each delivery has a span, with a link to the sender if it is not the first",
		Attributes: []attribute.Key{
			AttrCluster, AttrPlan, AttrAttempt,
			AttrMessagingSystem, AttrMessagingOperation, AttrMessagingType, AttrMessagingTemplate, AttrMessagingGroup, AttrMessagingID,
		},
	})
	SpanStep = span(Span{
		Name: "launch, stamp, drain, stop-tasks, deregister, terminate, activate", Kind: trace.SpanKindInternal, From: "actuator, drainer", Under: "process plan",
		Names:      []string{"launch", "stamp", "drain", "stop-tasks", "deregister", "terminate", "activate"},
		Help:       "A step of an action that changes AWS: the gate is passed, the intent published, the call made",
		Attributes: []attribute.Key{AttrCluster, AttrPlan, AttrAction, AttrKind, AttrOf},
	})
	SpanCall = span(Span{
		Name: "*SERVICE*.*Operation*", Kind: trace.SpanKindClient, From: "watcher, actuator, drainer", Under: "snapshot, a step, or process plan (reads between the steps)",
		Help: "A call of AWS with its retries, such as EC2.CreateFleet", Attributes: []attribute.Key{AttrRPCSystem, AttrRPCService, AttrRPCMethod, AttrRequestID, AttrError},
	})
)

// Start starts the span under the one of ctx.
func (s *Span) Start(ctx context.Context, tracer trace.Tracer, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	return s.StartAs(ctx, tracer, s.Name, options...)
}

// StartAs starts the span under one of the names that it may have.
func (s *Span) StartAs(ctx context.Context, tracer trace.Tracer, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	return tracer.Start(ctx, name, append(options, trace.WithSpanKind(s.Kind))...)
}

// Decides reports whether a span with these attributes sends a plan that does something: its
// trace is kept, whatever the sampling.
func Decides(attributes []attribute.KeyValue) bool {
	return slices.ContainsFunc(attributes, func(a attribute.KeyValue) bool { return a.Key == AttrActions && a.Value.AsInt64() > 0 })
}

// TracesPage is docs/traces.md.
func TracesPage() []byte {
	var b bytes.Buffer
	b.WriteString(tracesHead)
	b.WriteString("| span | kind | from | under | what it is |\n|---|---|---|---|---|\n")
	for _, s := range spans {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", s.Name, s.Kind, s.From, s.Under, s.Help)
	}
	b.WriteString("\nThe client of Redis adds spans of its own, named after the command.\n\n## Attributes\n\n| span | attributes |\n|---|---|\n")
	for _, s := range spans {
		keys := make([]string, 0, len(s.Attributes))
		for _, k := range s.Attributes {
			keys = append(keys, "`"+string(k)+"`")
		}
		fmt.Fprintf(&b, "| %s | %s |\n", s.Name, strings.Join(keys, ", "))
	}
	b.WriteString("\n| attribute | holds |\n|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", key, attributes[key])
	}
	b.WriteString(tracesTail)
	return b.Bytes()
}

const tracesHead = `# Traces

Each decision is one trace. It begins when the watcher sweeps the cluster, goes on in the planner that decides on the
snapshot, and ends in the actuator and the drainer with the last call that an action of the plan makes, minutes or hours
later. Messages carry it in the ` + "`traceparent`" + ` header, the ledger with each action: an action that another replica takes over
goes on in the same trace.

` + "```text" + `
snapshot                          watcher
├─ ECS.ListContainerInstances …
└─ send snapshot
   └─ plan                        planner
      └─ send plan
         ├─ process plan          actuator
         │  ├─ launch
         │  │  └─ EC2.CreateFleet
         │  ├─ ECS.DescribeContainerInstances …
         │  └─ stamp
         │     └─ ECS.PutAttributes
         └─ process plan          drainer
            ├─ drain
            │  ├─ EC2.CreateTags
            │  └─ ECS.UpdateContainerInstancesState
            ├─ deregister
            │  └─ ECS.DeregisterContainerInstance
            └─ terminate
               └─ EC2.TerminateInstances
` + "```" + `

From an instance to its decision: the tag ` + "`neap.dev/trace`" + ` of an EC2 instance that Neap launched is the ID of the trace, and so is
` + "`trace`" + ` of a plan (` + "`neap status -o json`" + `) and ` + "`trace_id`" + ` of a log line. IDs of traces are data: nothing is allowed because of them.

## Spans

`

const tracesTail = `
A span that failed has the status Error, and its events say why.

## Sampling

Every trace is kept unless ` + "`OTEL_TRACES_SAMPLER`" + ` says otherwise: one a beat and cluster, of which most decide nothing. With
` + "`parentbased_traceidratio`" + ` or ` + "`traceidratio`" + ` a share is kept (` + "`OTEL_TRACES_SAMPLER_ARG`" + `), and of each trace whose plan has an action
at least everything from ` + "`send plan`" + ` on. To keep such traces whole and drop the rest, leave the services as they are and let the
collector decide when a trace has ended: [deploy/otel/sampling.yaml](../deploy/otel/sampling.yaml).
`

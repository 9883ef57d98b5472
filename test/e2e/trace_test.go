package e2e_test

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/test/harness"
)

// TestTrace lets an instance never register: the plan that gives it up and launches another is
// one trace through all four services, from the snapshot to the instance that is gone. So is,
// without a launch, the plan that removes what is no longer needed.
func TestTrace(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t)
	s := start(t, smallWorld)
	s.Apply(harness.Policy(func(p *fleet.Policy) { p.Boot.Timeout = fleet.Duration(4 * time.Minute) }))
	s.Up(1, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL, "OTEL_METRICS_EXPORTER=none", "OTEL_BSP_SCHEDULE_DELAY=100", "LOG_FORMAT=json")
	s.Until("a small cluster runs", append(s.quiet(), harness.Instances(neededSmall))...)
	s.Script("stall 1\nservice web desired 8")
	replaced := s.awaitPlan(fleet.ActionLaunch, fleet.ActionReap)
	s.Until("another has taken its place", append(s.quiet(), harness.Instances(neededShrunk))...)
	s.Script("service web desired 4")
	removed := s.awaitPlan(fleet.ActionDrain)
	s.Until("the cluster has shrunk", append(s.quiet(), harness.Instances(neededSmall))...)

	receiver.await(t, replaced.Trace, map[string]string{
		"neap-watcher": "snapshot", "neap-planner": "plan", "neap-actuator": "EC2.CreateFleet", "neap-drainer": "EC2.TerminateInstances",
	})
	receiver.await(t, removed.Trace, map[string]string{
		"neap-watcher": "snapshot", "neap-planner": "send plan", "neap-drainer": "EC2.TerminateInstances",
	})
	wantDeclaredSpans(t, receiver.all())
	s.wantTagged(replaced.Trace)
	s.wantLogged(replaced)
}

// await waits until a trace has spans of services, and checks that it is whole.
func (r *receiver) await(t *testing.T, id string, want map[string]string) {
	t.Helper()
	var spans []span
	harness.Poll(t, harness.Patience, func() bool {
		spans = r.trace(id)
		for service, name := range want {
			if !has(spans, service, name) {
				return false
			}
		}
		return connected(spans) == ""
	}, func() string {
		return fmt.Sprintf("want %v, and one tree: %s\n%s", want, connected(spans), tree(spans))
	})
	t.Log("\n" + tree(spans))
}

// awaitPlan waits for a plan that has actions of all these kinds.
func (s *system) awaitPlan(kinds ...fleet.ActionKind) (p fleet.Plan) {
	s.T.Helper()
	harness.Poll(s.T, harness.Patience, func() bool {
		p = s.planOf(kinds...)
		return p.ID != ""
	}, func() string { return fmt.Sprintf("no plan has %v\n%s", kinds, s.Report(s.Truth())) })
	return p
}

// planOf is a plan of the chain that has actions of all these kinds, if there is one.
func (s *system) planOf(kinds ...fleet.ActionKind) fleet.Plan {
	s.T.Helper()
	for p, err := range s.Bus.Plans(s.T.Context(), harness.Cluster, 0) {
		if err != nil {
			s.T.Fatal(err)
		}
		if !slices.ContainsFunc(kinds, func(k fleet.ActionKind) bool {
			return !slices.ContainsFunc(p.Value.Actions, func(a fleet.Action) bool { return a.Kind == k })
		}) {
			return p.Value
		}
	}
	return fleet.Plan{}
}

// connected says what keeps spans from being one tree with the snapshot as its root in which
// every call of AWS that was answered has its request ID; "" if they are.
func connected(spans []span) string {
	ids := map[string]bool{}
	for _, s := range spans {
		ids[s.id] = true
	}
	var roots, problems []string
	for _, s := range spans {
		switch {
		case s.parent == "":
			roots = append(roots, s.Name)
		case !ids[s.parent]:
			problems = append(problems, fmt.Sprintf("the parent %s of %s is not there", s.parent, s.Name))
		}
		if s.ours() && s.Kind == otlp.Span_SPAN_KIND_CLIENT && s.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR && s.attributes[string(telemetry.AttrRequestID)] == "" {
			problems = append(problems, s.Name+" has no request ID")
		}
	}
	if !slices.Equal(roots, []string{"snapshot"}) {
		problems = append(problems, fmt.Sprintf("its roots are %v", roots))
	}
	return strings.Join(problems, "; ")
}

// wantDeclaredSpans: whatever was sent is documented, by name, kind, service and attributes.
func wantDeclaredSpans(t *testing.T, spans []span) {
	t.Helper()
	seen := map[*telemetry.Span]bool{}
	for _, s := range spans {
		if !s.ours() {
			continue // the client of Redis
		}
		i := slices.IndexFunc(telemetry.Spans(), func(d *telemetry.Span) bool {
			return slices.Contains(d.Names, s.Name) || d == telemetry.SpanCall && strings.Contains(s.Name, ".")
		})
		if i < 0 {
			t.Errorf("span %s of %s is not documented", s.Name, s.service)
			continue
		}
		d := telemetry.Spans()[i]
		seen[d] = true
		if !strings.Contains(d.From, strings.TrimPrefix(s.service, "neap-")) || strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_")) != d.Kind.String() {
			t.Errorf("span %s of %s is of kind %s; documented is %s of %s", s.Name, s.service, s.Kind, d.Kind, d.From)
		}
		for key := range s.attributes {
			if !slices.ContainsFunc(d.Attributes, func(k attribute.Key) bool { return string(k) == key }) {
				t.Errorf("span %s has an attribute %s, which is not documented", s.Name, key)
			}
		}
	}
	for _, d := range telemetry.Spans() {
		if !seen[d] && d != telemetry.SpanStanding { // which is looked for once a minute
			t.Errorf("span %s is documented and was never sent", d.Name)
		}
	}
}

// wantTagged: EC2 finds instances by the trace of the decision that launched them.
func (s *system) wantTagged(trace string) {
	s.T.Helper()
	body := "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag:" + fleet.TagTrace + "&Filter.1.Value.1=" + trace
	r, err := http.NewRequestWithContext(s.T.Context(), http.MethodPost, s.AWSURL, strings.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
	r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(text), "<instanceId>i-") {
		s.T.Errorf("no instance is tagged with trace %s: %s %v\n%s", trace, answer.Status, err, text)
	}
}

// wantLogged: logs are JSON, and each plan that was appended is in them once, at info, with
// the trace of the decision.
func (s *system) wantLogged(decided fleet.Plan) {
	s.T.Helper()
	for _, p := range s.Running {
		for line := range strings.Lines(p.Output()) {
			var record logged
			if err := json.Unmarshal([]byte(line), &record); err != nil || record.Time == "" || record.Service == "" {
				s.T.Errorf("%s: a line of its log is no record: %v\n%s", p.Name, err, line)
			}
			if of := record.Plan == decided.ID.Short(); of && (record.Level != "INFO" || record.Trace != decided.Trace) {
				s.T.Errorf("%s: not at info in trace %s: %s", p.Name, decided.Trace, line)
			}
		}
		if strings.HasPrefix(p.Name, "planner") {
			s.wantPlansLogged(p)
		}
	}
}

// logged is a line of a log.
type logged struct {
	Time, Level, Msg, Service, Plan string
	Trace                           string `json:"trace_id"`
}

// wantPlansLogged: each plan of the chain is in the log of the planner once. It is logged
// when it has been appended, so a log may be a moment behind the chain.
func (s *system) wantPlansLogged(p *harness.Process) {
	s.T.Helper()
	var chain []string
	for stored, err := range s.Bus.Plans(s.T.Context(), harness.Cluster, 0) {
		if err != nil {
			s.T.Fatal(err)
		}
		chain = append(chain, stored.Value.ID.Short())
	}
	planned := map[string]int{}
	harness.Poll(s.T, harness.Patience, func() bool {
		clear(planned)
		for line := range strings.Lines(p.Output()) {
			var record logged
			if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "planned" {
				planned[record.Plan]++
			}
		}
		return !slices.ContainsFunc(chain, func(id string) bool { return planned[id] == 0 })
	}, func() string { return fmt.Sprintf("of plans %v the log has %v", chain, planned) })
	for _, id := range chain {
		if planned[id] != 1 {
			s.T.Errorf("plan %s is in the log %d times", id, planned[id])
		}
	}
}

// receiver is a collector: it takes spans by OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []span
}

// span is one that was received.
type span struct {
	*otlp.Span
	service, scope    string
	trace, id, parent string
	attributes        map[string]string
}

// ours reports whether Neap made the span, not one of its libraries.
func (s *span) ours() bool { return strings.Contains(s.scope, "neap") }

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var batch collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &batch)
		}
		if err != nil || q.URL.Path != "/v1/traces" {
			http.Error(w, fmt.Sprint("no traces: ", err), http.StatusBadRequest)
			return
		}
		r.take(&batch)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(batch *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range batch.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				attributes := map[string]string{}
				for _, a := range s.GetAttributes() {
					attributes[a.GetKey()] = a.GetValue().String()
				}
				r.spans = append(r.spans, span{
					Span: s, service: service, scope: scope.GetScope().GetName(), attributes: attributes,
					trace: hex.EncodeToString(s.GetTraceId()), id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()),
				})
			}
		}
	}
}

func (r *receiver) all() []span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// trace are the spans of one trace, in the order in which they began.
func (r *receiver) trace(id string) []span {
	spans := slices.DeleteFunc(r.all(), func(s span) bool { return s.trace != id })
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.GetStartTimeUnixNano(), b.GetStartTimeUnixNano()) })
	return spans
}

func has(spans []span, service, name string) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.service == service && s.Name == name })
}

// tree draws a trace; like spans of one parent are in one line.
func tree(spans []span) string {
	below := map[string][]span{}
	for _, s := range spans {
		below[s.parent] = append(below[s.parent], s)
	}
	var b strings.Builder
	var draw func(parent, indent string)
	draw = func(parent, indent string) {
		count := map[string]int{}
		for _, s := range below[parent] {
			if line := indent + s.Name + "  " + s.service; len(below[s.id]) > 0 {
				fmt.Fprintln(&b, line)
				draw(s.id, indent+"  ")
			} else {
				count[line]++
			}
		}
		for _, line := range slices.Sorted(maps.Keys(count)) {
			fmt.Fprintf(&b, "%s ×%d\n", line, count[line])
		}
	}
	draw("", "")
	return b.String()
}

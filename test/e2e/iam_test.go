package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/test/harness"
)

// TestCallsWithinPolicies: an installation that grows and shrinks calls nothing of AWS but
// what neap iam allows each service, and the planner calls nothing at all.
func TestCallsWithinPolicies(t *testing.T) {
	t.Parallel()
	s := start(t, "cluster web\ntask web cpu 512 memory 1024\nservice web task web desired 4")
	s.Apply(harness.Policy(nil))
	calls := map[string]*callLog{}
	for _, name := range harness.Services {
		calls[name] = &callLog{}
		s.Start(name, 1, "AWS_ENDPOINT_URL="+calls[name].before(t, s.AWSURL))
	}
	s.Script("service web desired 24")
	large := s.Until("the cluster has grown", harness.AllRun, harness.Settled, s.Ended)
	s.Script("service web desired 4")
	s.Until("the cluster has shrunk", harness.AllRun, harness.Settled, s.Ended, costs(large.CostPerHour*65/100))

	var policies map[string]cloud.PolicyDocument
	if err := json.Unmarshal([]byte(s.Must("iam", "--cluster", string(harness.Cluster), "--output", "json")), &policies); err != nil {
		t.Fatal(err)
	}
	for _, name := range harness.Services {
		allowed := actions(policies[name])
		for _, call := range calls[name].all() {
			if !slices.Contains(allowed, call) {
				t.Errorf("the %s called %s, which its policy does not allow", name, call)
			}
		}
	}
	for name, call := range map[string]string{"watcher": "ecs:ListTasks", "actuator": "ec2:CreateFleet", "drainer": "ec2:TerminateInstances"} {
		if !slices.Contains(calls[name].all(), call) {
			t.Errorf("the %s was not seen to call %s, but %q: this test shows nothing", name, call, calls[name].all())
		}
	}
}

func actions(p cloud.PolicyDocument) (all []string) {
	for i := range p.Statement {
		all = append(all, p.Statement[i].Action...)
	}
	return all
}

// callLog hears which operations of AWS a process calls, by the names that IAM has for them.
type callLog struct {
	mu    sync.Mutex
	calls []string
}

func (l *callLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

var signedFor = regexp.MustCompile(`Credential=[^,]*/([a-z0-9-]+)/aws4_request`)

// before stands before AWS and returns its address there.
func (l *callLog) before(t *testing.T, aws string) string {
	t.Helper()
	target, err := url.Parse(aws)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		l.hear(r, string(body))
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (l *callLog) hear(r *http.Request, body string) {
	_, operation, named := strings.Cut(r.Header.Get("X-Amz-Target"), ".") // ECS and the like
	if !named {
		form, _ := url.ParseQuery(body) // EC2; what cannot be read has no operation, and is allowed to nobody
		operation = form.Get("Action")
	}
	service := append(signedFor.FindStringSubmatch(r.Header.Get("Authorization")), "", "")[1]
	call := service + ":" + operation
	if call == "sqs:DeleteMessageBatch" {
		call = "sqs:DeleteMessage" // the permission for both
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.calls, call) {
		l.calls = append(l.calls, call)
	}
}

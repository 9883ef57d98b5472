package awssim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// side asks the side door.
func side(t *testing.T, s *Server, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, sidePrefix+path, strings.NewReader(body)))
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(text)
}

// TestSaveAndLoad saves a world over HTTP, changes it, and loads it: it is as it was, and
// its clock goes on from then.
func TestSaveAndLoad(t *testing.T) {
	a, ctx := open(t, sim.Config{EventQueues: []string{"events"}}, Options{Speed: Frozen}), t.Context()
	if status, text := side(t, a.server, "POST", "script", "cluster web\nlaunch m7i.large count 2\ntask web cpu 64 memory 64\nat 5m service web task web desired 3"); status != http.StatusOK {
		t.Fatal(text)
	}
	a.advance(90 * time.Second)
	then := a.server.Now()
	status, saved := side(t, a.server, "GET", "save", "")
	if status != http.StatusOK {
		t.Fatal(saved)
	}
	_, state := side(t, a.server, "GET", "state", "")
	if _, text := side(t, a.server, "POST", "script", "cluster other\nlaunch m7i.large count 5"); strings.Contains(text, "error") {
		t.Fatal(text)
	}
	a.advance(time.Hour)
	must(a.ecs.ListClusters(ctx, &ecs.ListClustersInput{}))(a)

	status, answer := side(t, a.server, "POST", "load", saved)
	var clock struct{ Now time.Time }
	if err := json.Unmarshal([]byte(answer), &clock); err != nil || status != http.StatusOK || !clock.Now.Equal(then) {
		t.Fatalf("load: status %d, %s, want the time %v", status, answer, then)
	}
	if _, again := side(t, a.server, "GET", "state", ""); again != state {
		t.Errorf("state after loading\n%s\nwas\n%s", again, state)
	}
	if clusters := must(a.ecs.ListClusters(ctx, &ecs.ListClustersInput{}))(a); len(clusters.ClusterArns) != 1 {
		t.Errorf("clusters after loading: %v", clusters.ClusterArns)
	}
	a.advance(10 * time.Minute) // the statement at 5m is still to come
	if s := a.service(ctx, "web", "web"); s.RunningCount != 3 {
		t.Errorf("%d tasks of the statement to come run, want 3", s.RunningCount)
	}
}

// TestLoadRefuses loads what is no world; the world that is there stays.
func TestLoadRefuses(t *testing.T) {
	a := open(t, sim.Config{}, Options{Speed: Frozen})
	_, saved := side(t, a.server, "GET", "save", "")
	for _, c := range []struct{ body, want string }{
		{"", "the file is empty"},
		{saved[:len(saved)/2], "cut off"},
		{`{"format":"tea"}`, `format is \"tea\"`},
		{strings.Replace(saved, `"version":1`, `"version":99`, 1), "version is 99, this program reads version 1"},
		{strings.Replace(saved, "us-east-1a", "us-east-1d", 1), "checksum"},
	} {
		status, text := side(t, a.server, "POST", "load", c.body)
		if status != http.StatusBadRequest || !strings.Contains(text, c.want) {
			t.Errorf("status %d, %s, want %s", status, text, c.want)
		}
	}
	if status, text := side(t, a.server, "GET", "state", ""); status != http.StatusOK {
		t.Errorf("the world has gone: %s", text)
	}
}

// TestLoadWakesPolls loads a world while a call waits for a message: the call gets the
// message of the new world, however old or young that is.
func TestLoadWakesPolls(t *testing.T) {
	for _, later := range []time.Duration{-30 * 24 * time.Hour, 30 * 24 * time.Hour} {
		a, ctx := open(t, sim.Config{}, Options{}), t.Context()
		made := must(a.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("events")}))(a)
		other, err := sim.New(sim.Config{Start: a.server.Now().Add(later), EventQueues: []string{"events"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.SendMessage(&sim.SendMessageInput{QueueURL: "events", MessageBody: "news"}); err != nil {
			t.Fatal(err)
		}
		var saved bytes.Buffer
		if err := other.Save(&saved); err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 1)
		go func() {
			out, err := a.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, WaitTimeSeconds: 20})
			switch {
			case err != nil:
				got <- err.Error()
			case len(out.Messages) == 0:
				got <- "nothing"
			default:
				got <- *out.Messages[0].Body
			}
		}()
		if err := a.server.Load(&saved); err != nil {
			t.Fatal(err)
		}
		select {
		case body := <-got:
			if body != "news" {
				t.Errorf("a world %v later: received %s", later, body)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("a world %v later: the poll still waits", later)
		}
	}
}

// TestHistoryIsKept reads the history over HTTP and from its writer.
func TestHistoryIsKept(t *testing.T) {
	var file bytes.Buffer
	a, ctx := open(t, sim.Config{}, Options{Speed: Frozen, History: 5, HistoryTo: &file}), t.Context()
	must(a.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("web")}))(a)
	if _, text := side(t, a.server, "POST", "script", "launch m7i.large count 6"); strings.Contains(text, "error") {
		t.Fatal(text)
	}
	a.server.flushHistory()
	lines := strings.Split(strings.TrimSpace(file.String()), "\n")
	if len(lines) != 8 || !strings.Contains(lines[0], `"kind":"call","id":"ecs:CreateCluster"`) || !strings.Contains(lines[1], `"what":"launch m7i.large count 6"`) {
		t.Errorf("history:\n%s", file.String())
	}
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"history", lines[3:]},
		{"history?after=6", lines[6:]},
		{"history?after=5&limit=1", lines[5:6]},
		{"history?after=8", nil},
	} {
		_, text := side(t, a.server, "GET", c.query, "")
		if want := strings.Join(append(c.want, ""), "\n"); text != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.query, text, want)
		}
	}
	if status, text := side(t, a.server, "GET", "history?after=x", ""); status != http.StatusBadRequest || !strings.Contains(text, "after") {
		t.Errorf("status %d, %s", status, text)
	}
	off := open(t, sim.Config{}, Options{})
	if status, text := side(t, off.server, "GET", "history", ""); status != http.StatusNotFound || !strings.Contains(text, "history is off") {
		t.Errorf("status %d, %s", status, text)
	}
}

package awssim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// sidePrefix is where the paths of the side door begin. AWS has none like it.
const sidePrefix = "/_neap/"

// sidePath is one path of the side door.
type sidePath struct {
	method, path string
	body         string // what to send, by an example
	says         string // one line for people
	serve        http.HandlerFunc
}

// sidePaths are what is behind the side door. GET /_neap/ lists them.
func (s *Server) sidePaths() []sidePath {
	return []sidePath{
		{"GET", "healthz", "", `{"ok":true} as soon as it serves`, func(w http.ResponseWriter, _ *http.Request) {
			writeSide(w, http.StatusOK, map[string]bool{"ok": true})
		}},
		{"GET", "operations", "", "the operations that are simulated, by service", func(w http.ResponseWriter, _ *http.Request) {
			writeSide(w, http.StatusOK, Operations())
		}},
		{"GET", "state", "", "what is really so: instances, services, tasks, and what happened until now", s.serveState},
		{"POST", "script", "cluster web", "carry out statements; those with a time happen later", s.serveScript},
		{"GET", "save", "", "the whole world, to be loaded again", s.serveSave},
		{"POST", "load", "@world.json", "replace the world by one that was saved", s.serveLoad},
		{"GET", "history", "?after=N&limit=N", "what happened, as lines of JSON, if history is on", s.serveHistory},
		{"GET", "limits", "", "the API rate limits that were drawn from: how full the buckets are", s.serveLimits},
		{"GET", "outages", "", "the outages there are, and what they hit", s.serveOutages},
		{"GET", "time", "", "the clock of the world and how fast it runs", func(w http.ResponseWriter, _ *http.Request) { s.writeTime(w) }},
		{"POST", "time", `{"speed":60,"advance":"5m"}`, "change the speed, jump ahead; either or both", s.changeTime},
	}
}

// sideDoor serves what is not AWS: the truth, scripts and the clock.
func (s *Server) sideDoor() http.Handler {
	mux := http.NewServeMux()
	var index bytes.Buffer
	for _, p := range s.sidePaths() {
		mux.HandleFunc(p.method+" "+sidePrefix+p.path, p.serve)
		fmt.Fprintf(&index, "%-4s %s%-12s %-30s %s\n", p.method, sidePrefix, p.path, p.body, p.says)
	}
	mux.HandleFunc("GET "+sidePrefix+"{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(index.Bytes()) // a caller that has gone needs no answer
	})
	mux.HandleFunc(sidePrefix, func(w http.ResponseWriter, r *http.Request) {
		writeSide(w, http.StatusNotFound, sideError{fmt.Sprintf("no such path: %s %s; GET %s lists them", clip(r.Method), clip(r.URL.Path), sidePrefix)})
	})
	return mux
}

type sideError struct {
	Error string `json:"error"`
}

func (s *Server) serveState(w http.ResponseWriter, _ *http.Request) {
	var body []byte
	var err error
	s.World(func(world *sim.World) { body, err = json.Marshal(world.Truth()) })
	if err != nil {
		writeSide(w, http.StatusInternalServerError, sideError{fmt.Sprintf("encode the state: %v", err)})
		return
	}
	writeSideBody(w, http.StatusOK, body)
}

func (s *Server) serveLimits(w http.ResponseWriter, _ *http.Request) {
	var limits struct {
		Throttling bool        `json:"throttling"`
		Buckets    []sim.Level `json:"buckets"`
	}
	s.World(func(world *sim.World) { limits.Throttling, limits.Buckets = world.Throttling(), world.Levels() })
	writeSide(w, http.StatusOK, limits)
}

func (s *Server) serveOutages(w http.ResponseWriter, _ *http.Request) {
	var outages []sim.Outage
	s.World(func(world *sim.World) { outages = world.Outages() })
	writeSide(w, http.StatusOK, outages)
}

func (s *Server) serveScript(w http.ResponseWriter, r *http.Request) {
	text, ok := readSide(w, r)
	if !ok {
		return
	}
	script, err := sim.ParseScript(string(text))
	if err == nil {
		s.World(func(world *sim.World) { err = script.Run(world) })
	}
	if err != nil {
		writeSide(w, http.StatusBadRequest, sideError{err.Error()})
		return
	}
	s.writeTime(w)
}

// timeChange is the body of POST /_neap/time.
type timeChange struct {
	Speed   *float64 `json:"speed"`
	Advance string   `json:"advance"`
}

func (s *Server) changeTime(w http.ResponseWriter, r *http.Request) {
	text, ok := readSide(w, r)
	if !ok {
		return
	}
	var change timeChange
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&change); err != nil {
		writeSide(w, http.StatusBadRequest, sideError{fmt.Sprintf(`read the body: %v; send {"speed":60,"advance":"5m"}, either of them or both`, err)})
		return
	}
	ahead, err := change.check()
	if err != nil {
		writeSide(w, http.StatusBadRequest, sideError{err.Error()})
		return
	}
	if change.Speed != nil {
		s.SetSpeed(*change.Speed)
	}
	s.Advance(ahead)
	s.writeTime(w)
}

// maxAdvance is the longest jump: a year, beyond which a typing error is likelier than a
// wish.
const maxAdvance = 366 * 24 * time.Hour

func (c *timeChange) check() (time.Duration, error) {
	if c.Speed != nil && (*c.Speed < 0 || *c.Speed > MaxSpeed) {
		return 0, fmt.Errorf("speed %v: it must be from 0, a standstill, to %v", *c.Speed, MaxSpeed)
	}
	if c.Advance == "" {
		return 0, nil
	}
	ahead, err := time.ParseDuration(c.Advance)
	if err != nil || ahead < 0 || ahead > maxAdvance {
		return 0, fmt.Errorf("advance %q: it must be a time like 90s or 5m, from 0 to %v", clip(c.Advance), maxAdvance)
	}
	return ahead, nil
}

// writeTime answers with the clock as it is now.
func (s *Server) writeTime(w http.ResponseWriter) {
	writeSide(w, http.StatusOK, struct {
		Now   time.Time `json:"now"`
		Speed float64   `json:"speed"`
	}{s.Now().UTC(), s.Speed()})
}

func readSide(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		writeSide(w, http.StatusRequestEntityTooLarge, sideError{fmt.Sprintf("the body is larger than %d bytes", maxBody)})
	case err != nil:
		writeSide(w, http.StatusBadRequest, sideError{fmt.Sprintf("read the body: %v", err)})
	}
	return body, err == nil
}

func writeSide(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer has no form in JSON"}`)
	}
	writeSideBody(w, status, text)
}

func writeSideBody(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a caller that has gone needs no answer
}

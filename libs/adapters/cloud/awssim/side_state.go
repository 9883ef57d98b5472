package awssim

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// maxState bounds a world that is sent to be loaded: 5,000 instances with 100,000 tasks
// take a tenth of it.
const maxState = 1 << 30

// Save writes the world as it is now, for [Server.Load] and [sim.Load].
func (s *Server) Save(to io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	return s.world.Save(to)
}

// Load replaces the world by one that was saved. The clock goes on from the time of that
// one, as fast as before. Calls that wait go on waiting, in the new world, for as long as
// they had left.
func (s *Server) Load(from io.Reader) error {
	world, err := sim.Load(from)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	s.world.Record(nil)
	s.moved += world.Now().Sub(s.clock.now())
	s.clock.base, s.clock.since = world.Now(), s.clock.wall()
	s.world, s.past = world, nil
	s.history.attach(world)
	s.announce()
	return nil
}

func (s *Server) serveSave(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	if err := s.Save(&body); err != nil {
		writeSide(w, http.StatusInternalServerError, sideError{err.Error()})
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="world.json"`)
	writeSideBody(w, http.StatusOK, bytes.TrimSuffix(body.Bytes(), []byte("\n")))
}

func (s *Server) serveLoad(w http.ResponseWriter, r *http.Request) {
	err := s.Load(http.MaxBytesReader(w, r.Body, maxState))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		writeSide(w, http.StatusRequestEntityTooLarge, sideError{fmt.Sprintf("the world is larger than %d bytes", maxState)})
	case err != nil:
		writeSide(w, http.StatusBadRequest, sideError{err.Error()})
	default:
		s.writeTime(w)
	}
}

// history keeps what happened in a world. It is used under the lock of its server.
type history struct {
	keep  int         // newest entries
	lines []sim.Entry // a ring, once it is full
	count uint64      // entries ever put into it
	out   *bufio.Writer
	err   error // of out; nothing is written after the first
}

func newHistory(o *Options) history {
	h := history{keep: o.History}
	if o.HistoryTo != nil {
		h.out = bufio.NewWriter(o.HistoryTo)
	}
	return h
}

// attach records a world, if anybody wants to know.
func (h *history) attach(world *sim.World) {
	if h.keep > 0 || h.out != nil {
		world.Record(h.add)
	}
}

func (h *history) add(e sim.Entry) {
	if h.out != nil && h.err == nil {
		_, h.err = h.out.Write(e.Line())
	}
	if h.keep <= 0 {
		return
	}
	if len(h.lines) < h.keep {
		h.lines = append(h.lines, e)
	} else {
		h.lines[h.count%uint64(h.keep)] = e
	}
	h.count++
}

// flush hands on what was written. It returns the first error once.
func (h *history) flush() error {
	if h.out == nil {
		return nil
	}
	err := h.err
	if err == nil {
		err = h.out.Flush()
	}
	if err != nil {
		h.out, h.err = nil, nil
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// after returns up to limit entries behind a number, oldest first. A world that was loaded
// may count from a lower number again: what was put in last is what counts.
func (h *history) after(number uint64, limit int) []sim.Entry {
	start := 0
	if h.keep > 0 && len(h.lines) == h.keep {
		start = int(h.count % uint64(h.keep))
	}
	var list []sim.Entry
	for i := range h.lines {
		if e := h.lines[(start+i)%len(h.lines)]; e.Number > number && len(list) < limit {
			list = append(list, e)
		}
	}
	return list
}

// serveHistory answers the newest entries behind a number as lines of JSON.
func (s *Server) serveHistory(w http.ResponseWriter, r *http.Request) {
	const usual, most = 1000, 100_000
	after, limit := uint64(0), uint64(usual)
	for _, p := range []struct {
		name string
		to   *uint64
		most uint64
	}{{"after", &after, 1 << 62}, {"limit", &limit, most}} {
		text := r.URL.Query().Get(p.name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n > p.most {
			writeSide(w, http.StatusBadRequest, sideError{fmt.Sprintf("%s %q: it must be a number from 0 to %d", p.name, clip(text), p.most)})
			return
		}
		*p.to = n
	}
	s.mu.Lock()
	s.catchUp()
	on, list := s.history.keep > 0, s.history.after(after, int(limit))
	s.mu.Unlock()
	if !on {
		writeSide(w, http.StatusNotFound, sideError{"history is off: start the simulated AWS with --history FILE"})
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	for i := range list {
		_, _ = w.Write(list[i].Line()) // a caller that has gone needs no answer
	}
}

// flushHistory hands the history on to its file, and says so once if that does not work.
func (s *Server) flushHistory() {
	s.mu.Lock()
	err := s.history.flush()
	s.mu.Unlock()
	if err != nil {
		s.log.Error("history ends", "error", err)
	}
}

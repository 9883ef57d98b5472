package execute

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/action"
)

// FuzzRecord: whatever lies in the ledger, it is read as the record of its own action, or
// refused.
func FuzzRecord(f *testing.F) {
	good := Record{Cluster: "web", Action: fleet.Action{ID: "a1", Kind: fleet.ActionLaunch, Launch: &fleet.Launch{Count: 2}}}
	state := action.State{Phase: action.Calling, Request: []byte("R")}
	value, err := encode(&good, &state)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	for _, bad := range []string{``, `{}`, `null`, `[]`, `{"cluster":"web","action":{"id":"a2"}}`, `{"cluster":"db","action":{"id":"a1"}}`, `{"cluster":"web","action":{"id":"a1"},"state":[]}`, `{"cluster":"web","action":{"id":"a1"},"state":{"phase":7}}`} {
		f.Add([]byte(bad))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		entry := Entry{Cluster: "web", Action: "a1", Value: value}
		r, state, err := decode[action.State](entry)
		if err != nil {
			if !errors.Is(err, fleet.ErrInvalid) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if r.Cluster != "web" || r.Action.ID != "a1" {
			t.Errorf("read as the record of %s of %s", r.Action.ID, r.Cluster)
		}
		if again, err := encode(&r, &state); err != nil || !json.Valid(again) {
			t.Errorf("cannot be written again: %v", err)
		}
	})
}

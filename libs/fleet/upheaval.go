package fleet

import "time"

// Census is how much a view of a cluster showed.
type Census struct {
	ReadAt    time.Time `json:"readAt,omitzero"`   // when the reading began; zero: nothing was ever seen whole
	Instances int       `json:"instances"`         // registered, or on their way
	Leaving   int       `json:"leaving,omitempty"` // of these: expected to be gone soon, by our will or AWS's
	Working   int       `json:"working"`           // of these: registered, the agent is connected
	Services  int       `json:"services"`
	Wanted    int       `json:"wanted"`  // tasks of services
	Running   int       `json:"running"` // of these; those of a service that is being deployed all count as running
	Staying   int       `json:"staying"` // of these: not on an instance that is leaving
}

// IsZero reports whether nothing was ever seen whole.
func (c Census) IsZero() bool { return c.ReadAt.IsZero() }

// Upheaval is that much was gone at once which nobody here removed: a view that lacks what is
// there (another region, a permission that hides things, a fault of AWS), or a disaster. Until
// it is clear which nothing is removed by choice.
type Upheaval struct {
	Since time.Time `json:"since,omitzero"`  // when something was missed last; zero: there is none
	What  string    `json:"what,omitempty"`  // that was missed
	Share int       `json:"share,omitempty"` // of it, in percent; the largest since it began
	Seen  bool      `json:"seen,omitempty"`  // a person has pressed the red button since, so knows of it
}

// IsZero reports whether there is none.
func (u Upheaval) IsZero() bool { return u.Since.IsZero() }

// Turned reports whether an upheaval has begun, has changed or is over: that must not be
// forgotten.
func (u *Upheaval) Turned(from *Upheaval) bool { return *u != *from }

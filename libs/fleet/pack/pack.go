package pack

import (
	"github.com/neap-project/neap/libs/fleet"
)

// Problem is what is to be packed, and into what.
type Problem struct {
	Items     []Item
	Offerings []Offering
	Limits    Limits
	Effort    Effort
}

// Effort is how long to look for a cheaper packing and a better bound. It is counted in
// steps, not by a clock, so that a problem has one solution on every machine.
type Effort uint8

// The efforts: for a plan that is needed now, for one between two ticks, and for sizing.
const (
	Fast Effort = iota
	Normal
	High
)

// Item is a number of interchangeable tasks.
type Item struct {
	Name  string
	Needs fleet.Resources
	Count int

	// Allowed says for each offering whether it may hold the item, room apart; nil is all.
	Allowed []bool
	// Keys are held by at most one task of an instance each: the group of a task under
	// distinctInstance, its host ports.
	Keys []string
	// Avoid are the items that may not share an instance with this one, by index. It need
	// be said of one of the two only.
	Avoid []int
	// Later items are left out first when a limit is reached. 0 is the most important.
	Later int
	// Spread is how many like tasks each zone holds already, if they are to be spread over
	// zones; nil if it does not matter.
	Spread map[fleet.Zone]int
}

// Offering is an instance that can be bought.
type Offering struct {
	Name     string // for people and for ties: unique
	Group    string // offerings of one group are alternatives to one another
	Zone     fleet.Zone
	Capacity fleet.Resources // free for items: what registers less what daemon tasks take
	VCPUs    int64           // what it counts against the limits
	Memory   int64           // MiB, likewise
	Price    fleet.Price
}

// Limits bound a solution; zero is no limit.
type Limits struct {
	Instances int
	VCPUs     int64
	MemoryMiB int64
}

// Solution is what to launch.
type Solution struct {
	Instances  []Instance // most important first
	Unplaced   []Unplaced
	Cost       fleet.Price
	LowerBound fleet.Price // no packing of the items that were placed costs less
	Steps      int         // that the search took: the effort spent, the same on every machine
}

// Instance is a number of equal instances.
type Instance struct {
	Offering     int   // index into Problem.Offerings
	Alternatives []int // others that hold the same content, the preferred first; Offering is not among them
	Items        []Held
	Count        int
}

// Held is how many of an item each instance holds.
type Held struct {
	Item  int
	Count int
}

// Unplaced are items that are left out.
type Unplaced struct {
	Item  int
	Count int
	Why   Why
}

// Why says why items are left out.
type Why string

// Why items may be left out.
const (
	WhyNoOffering Why = "no-offering" // no offering is allowed to hold it
	WhyTooLarge   Why = "too-large"   // every allowed offering is too small
	WhyLimit      Why = "limit"       // a limit was reached
)

// maxPremium is how much more than the chosen offering an alternative may cost, in
// percent: about what a better price elsewhere saves, and far less than waiting costs.
const maxPremium = 5

// mostAlternatives bounds the offerings named for one instance. EC2 Fleet takes more, but
// past this number further ones hardly add to the chance of capacity, and each is carried
// through every message about the launch.
const mostAlternatives = 20

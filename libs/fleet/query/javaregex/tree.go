package javaregex

// shape says what a node of a pattern is.
type shape uint8

const (
	oneOf     shape = iota // one character of set
	sequence               // kids, one after the other
	choice                 // one of kids, the first that leads to a match
	repeat                 // the kid min to max times
	capture                // the kid, remembered as group number
	look                   // the kid comes next, or comes before; nothing is consumed
	atomic                 // the kid's first match, whatever comes of it
	back                   // what group number captured
	assertion              // a condition on the place
	lineBreak              // \R
)

// greed says which count a repetition tries first.
type greed uint8

const (
	greedy     greed = iota // most
	lazy                    // fewest
	possessive              // most, and no other
)

// unlimited is the max of a repetition without one.
const unlimited = -1

// condition is what an assertion asks of a place.
type condition uint8

const (
	atStart condition = iota
	atEnd
	atLastLine      // the end, or the line terminator there
	atLastUnixLine  // the same where only \n ends a line
	atLineStart     // multiline ^
	atLineEnd       // multiline $
	atUnixLineStart // multiline ^ where only \n ends a line
	atUnixLineEnd
	atWordEdge
	notAtWordEdge
	atUnicodeWordEdge
	notAtUnicodeWordEdge
)

// folding says how a backreference compares letters.
type folding uint8

const (
	exact folding = iota
	foldingASCII
	foldingUnicode
)

// node is a pattern or a part of one. Which fields count depends on shape.
type node struct {
	shape  shape
	set    runes
	kids   []*node
	min    int // times
	max    int
	greed  greed
	number int // of the group
	is     condition
	fold   folding
	behind bool // a look goes backwards
	negate bool // a look wants no match
}

// extent is how many characters a node consumes.
type extent struct {
	min, max int
	bounded  bool // max is known to Java
	fixed    bool // Java sees no choice
}

// most is the largest number of an int in Java.
const most = 1<<31 - 1

// measure computes the extent of n as Java does to tell how far a lookbehind looks, in time
// linear in n. What versions of Java differ in, lookbehind without a limit, is not bounded.
func (n *node) measure() extent {
	switch n.shape {
	case oneOf:
		return extent{1, 1, true, true}
	case lineBreak:
		return extent{1, 2, true, true}
	case back:
		return extent{0, 0, false, true}
	case capture, atomic:
		return n.kids[0].measure()
	case sequence:
		e := extent{0, 0, true, true}
		for _, kid := range n.kids {
			k := kid.measure()
			e.min, e.max = min(e.min+k.min, most), e.max+k.max
			e.bounded, e.fixed = e.bounded && k.bounded && e.max <= most, e.fixed && k.fixed
		}
		return e
	case choice:
		e := n.kids[0].measure()
		for _, kid := range n.kids[1:] {
			k := kid.measure()
			e.min, e.max, e.bounded = min(e.min, k.min), max(e.max, k.max), e.bounded && k.bounded
		}
		e.fixed = false
		return e
	case repeat:
		return n.measureRepeat()
	default: // look, assertion
		return extent{0, 0, true, true}
	}
}

func (n *node) measureRepeat() extent {
	k := n.kids[0].measure()
	if n.min == 0 && n.max == 1 {
		return extent{0, k.max, k.bounded, false}
	}
	e := extent{min(k.min*n.min, most), k.max * n.max, k.bounded, k.fixed && n.min == n.max}
	if n.max == unlimited || e.max > most || !k.fixed && n.greed != possessive {
		e.bounded, e.max = false, 0
	}
	return e
}

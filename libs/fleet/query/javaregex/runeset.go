package javaregex

import (
	"cmp"
	"slices"
	"sync"
	"unicode"
)

// span is the characters from lo to hi, both included.
type span struct{ lo, hi rune }

// runes is a set of characters: spans in order that neither overlap nor touch.
type runes []span

// everything has every character.
var everything = runes{{0, unicode.MaxRune}}

// setOf makes a set of spans in any order. Time: n log n.
func setOf(spans ...span) runes {
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	set := sorted[:0]
	for _, s := range sorted {
		if last := len(set) - 1; last >= 0 && s.lo <= set[last].hi+1 {
			set[last].hi = max(set[last].hi, s.hi)
		} else {
			set = append(set, s)
		}
	}
	return set
}

// setOfRunes makes a set of single characters.
func setOfRunes(of ...rune) runes {
	spans := make([]span, len(of))
	for i, r := range of {
		spans[i] = span{r, r}
	}
	return setOf(spans...)
}

// setOfTables makes a set of what any of Unicode's tables has.
func setOfTables(tables ...*unicode.RangeTable) runes {
	var spans []span
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			spans = append(spans, span{lo, hi})
			return
		}
		for r := lo; r <= hi; r += stride {
			spans = append(spans, span{r, r})
		}
	}
	for _, table := range tables {
		for _, r := range table.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range table.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return setOf(spans...)
}

// has tells whether r is in the set, in time logarithmic in its spans.
func (s runes) has(r rune) bool {
	_, found := slices.BinarySearchFunc(s, r, func(in span, r rune) int {
		switch {
		case in.hi < r:
			return -1
		case in.lo > r:
			return 1
		default:
			return 0
		}
	})
	return found
}

func (s runes) not() runes {
	var rest runes
	next := rune(0)
	for _, in := range s {
		if next < in.lo {
			rest = append(rest, span{next, in.lo - 1})
		}
		next = in.hi + 1
	}
	if next <= unicode.MaxRune {
		rest = append(rest, span{next, unicode.MaxRune})
	}
	return rest
}

func (s runes) or(other runes) runes { return setOf(slices.Concat(s, other)...) }

func (s runes) and(other runes) runes {
	var both runes
	for i, j := 0, 0; i < len(s) && j < len(other); {
		if lo, hi := max(s[i].lo, other[j].lo), min(s[i].hi, other[j].hi); lo <= hi {
			both = append(both, span{lo, hi})
		}
		if s[i].hi < other[j].hi {
			i++
		} else {
			j++
		}
	}
	return both
}

// foldASCII adds the other case of the letters of ASCII in the set.
func (s runes) foldASCII() runes {
	folded := slices.Clone(s)
	for _, in := range s.and(runes{{'A', 'Z'}}) {
		folded = append(folded, span{in.lo + 'a' - 'A', in.hi + 'a' - 'A'})
	}
	for _, in := range s.and(runes{{'a', 'z'}}) {
		folded = append(folded, span{in.lo - ('a' - 'A'), in.hi - ('a' - 'A')})
	}
	return setOf(folded...)
}

// fold is what Java compares characters by when case does not count.
func fold(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

// cased are the characters that case can change, some 2,800.
var cased = sync.OnceValue(func() []rune {
	var found []rune
	for _, in := range unicode.CaseRanges {
		for r := rune(in.Lo); r <= rune(in.Hi); r++ {
			if unicode.ToUpper(r) != r || unicode.ToLower(r) != r {
				found = append(found, r)
			}
		}
	}
	return found
})

// foldUnicode adds the characters whose other case is in the set, as Java does for a range.
func (s runes) foldUnicode() runes {
	var more []rune
	for _, r := range cased() {
		if s.has(unicode.ToUpper(r)) || s.has(fold(r)) {
			more = append(more, r)
		}
	}
	return s.or(setOfRunes(more...))
}

// sameFold are the characters that equal r when case does not count.
func sameFold(r rune) runes {
	same := []rune{r}
	for _, other := range cased() {
		if fold(other) == fold(r) {
			same = append(same, other)
		}
	}
	return setOfRunes(same...)
}

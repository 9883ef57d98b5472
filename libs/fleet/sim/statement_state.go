package sim

import "errors"

// readAdvance reads "advance D", which lets D pass before the next statement is carried
// out:
//
//	launch m7i.large count 3
//	advance 2m
//	drain oldest
//
// It cannot stand behind "at TIME", for time passes there already.
func readAdvance(words []string) (statement, error) {
	names, rest, err := subject(words, "TIME")
	if err != nil {
		return nil, err
	}
	d, err := duration(names[0])
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, errors.New("write one time, such as: advance 5m")
	}
	return func(w *World, _ *scene) error {
		if w.advancing {
			return errors.New("time passes already: write it without \"at\"")
		}
		w.Advance(w.now.Add(d))
		return nil
	}, nil
}

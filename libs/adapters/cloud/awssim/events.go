package awssim

import "github.com/neap-project/neap/libs/fleet/sim"

// eventOperations are the operations of EventBridge.
var eventOperations = map[string]*operation{
	"PutRule":           act((*sim.World).PutRule, eventsChange),
	"DescribeRule":      read((*sim.World).DescribeRule, eventsChange),
	"EnableRule":        act((*sim.World).EnableRule, eventsChange),
	"DisableRule":       act((*sim.World).DisableRule, eventsChange),
	"DeleteRule":        act((*sim.World).DeleteRule, eventsChange),
	"ListRules":         read((*sim.World).ListRules, eventsChange),
	"PutTargets":        act((*sim.World).PutTargets, eventsChange),
	"RemoveTargets":     act((*sim.World).RemoveTargets, eventsChange),
	"ListTargetsByRule": read((*sim.World).ListTargetsByRule, eventsChange),
	"TestEventPattern":  read((*sim.World).TestEventPattern, eventsChange),
	"PutEvents":         act((*sim.World).PutEvents, eventsPut),
}

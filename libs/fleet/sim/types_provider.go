package sim

// CreateCapacityProviderInput is the request of CreateCapacityProvider.
type CreateCapacityProviderInput struct {
	Name                     string                    `json:"name"`
	Cluster                  string                    `json:"cluster"`
	AutoScalingGroupProvider *AutoScalingGroupProvider `json:"autoScalingGroupProvider"`
	Tags                     []Tag                     `json:"tags"`
}

// CreateCapacityProviderOutput is the answer of CreateCapacityProvider.
type CreateCapacityProviderOutput struct {
	CapacityProvider CapacityProvider `json:"capacityProvider"`
}

// UpdateCapacityProviderInput is the request of UpdateCapacityProvider. What is absent
// stays as it is.
type UpdateCapacityProviderInput struct {
	Name                     string                    `json:"name"`
	Cluster                  string                    `json:"cluster"`
	AutoScalingGroupProvider *AutoScalingGroupProvider `json:"autoScalingGroupProvider"`
}

// UpdateCapacityProviderOutput is the answer of UpdateCapacityProvider.
type UpdateCapacityProviderOutput struct {
	CapacityProvider CapacityProvider `json:"capacityProvider"`
}

// DeleteCapacityProviderInput is the request of DeleteCapacityProvider.
type DeleteCapacityProviderInput struct {
	CapacityProvider string `json:"capacityProvider"`
	Cluster          string `json:"cluster"`
}

// DeleteCapacityProviderOutput is the answer of DeleteCapacityProvider.
type DeleteCapacityProviderOutput struct {
	CapacityProvider CapacityProvider `json:"capacityProvider"`
}

// PutClusterCapacityProvidersInput is the request of PutClusterCapacityProviders: all the
// capacity providers that the cluster is to have.
type PutClusterCapacityProvidersInput struct {
	Cluster                         string                         `json:"cluster"`
	CapacityProviders               []string                       `json:"capacityProviders"`
	DefaultCapacityProviderStrategy []CapacityProviderStrategyItem `json:"defaultCapacityProviderStrategy"`
}

// PutClusterCapacityProvidersOutput is the answer of PutClusterCapacityProviders.
type PutClusterCapacityProvidersOutput struct {
	Cluster Cluster `json:"cluster"`
}

// StartTaskInput is the request of StartTask: one task on each of at most 10 container
// instances.
type StartTaskInput struct {
	Cluster              string                `json:"cluster"`
	ContainerInstances   []string              `json:"containerInstances"`
	TaskDefinition       string                `json:"taskDefinition"`
	Group                string                `json:"group"`
	Overrides            *TaskOverride         `json:"overrides"`
	NetworkConfiguration *NetworkConfiguration `json:"networkConfiguration"`
	StartedBy            string                `json:"startedBy"`
	Tags                 []Tag                 `json:"tags"`
	PropagateTags        string                `json:"propagateTags"`
}

// StartTaskOutput is the answer of StartTask.
type StartTaskOutput struct {
	Tasks    []Task    `json:"tasks"`
	Failures []Failure `json:"failures"`
}

"""What a stage has on AWS, as a CDK app; of the controller it imports the core only."""

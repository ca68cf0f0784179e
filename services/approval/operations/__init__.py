"""What operators repair over HTTP: dead letters, failed cases, decisions of the EHR that are held."""
